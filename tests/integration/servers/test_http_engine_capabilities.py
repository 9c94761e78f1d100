"""Servers with and without the vLLM plugin, with another model or of another kind."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.protocol.chat_completions import OWN, own_capabilities
from airflow_deepseek_ocr.exceptions import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.support.fakes.fault_server import Faults
from tests.support.fixtures.fault_engine import engine_for, page, read


@pytest.mark.parametrize("modes", ["ignored", "refused", "uncounted"])
def test_a_server_without_the_plugin_reads_in_gundam_only(faults: Faults, modes: str) -> None:
    faults.modes = modes
    engine = engine_for(faults)
    assert engine.capabilities().modes == ("gundam",)
    for mode in ("tiny", "small", "base", "large"):
        said = r"gundam only.*resident.*airflow-deepseek-ocr-vllm.*--trust-request-mm-kwargs"
        with pytest.raises(ConfigurationError, match=said) as caught:
            list(engine.read([page("free", mode)]))
        assert caught.value.code == "server_mode"
    assert not faults.pages
    (output,) = engine.read([page("free")])
    # 2 x 1 tiles and the view: 20 lines of 10 tokens and a newline, 16 of 16 and a newline, an end.
    assert output.vision_tokens == 10 * 21 + 16 * 17 + 1
    (sent,) = faults.pages
    assert "mm_processor_kwargs" not in sent
    assert sent["skip_special_tokens"] is False
    assert sent["vllm_xargs"] == {
        "ngram_size": 30, "window_size": 90, "whitelist_token_ids": [128821, 128822]
    }  # fmt: skip
    # vLLM refuses a request whose text might not fit.
    assert 8192 - 600 < sent["max_tokens"] + output.vision_tokens < 8192


def test_vllm_with_the_plugin_reads_in_all_modes(faults: Faults) -> None:
    faults.modes = "read"
    engine = engine_for(faults)
    assert engine.capabilities().modes == ("tiny", "small", "base", "large", "gundam")
    tall = Image.new("RGB", (400, 3600))
    requests = [
        PageRequest(key=mode, image=tall, prompt="free", resolution=mode) for mode in engine.modes()
    ]
    tokens = {output.key: output.vision_tokens for output in engine.read(requests)}
    # In gundam nine tiles, as in-process.
    nine = 90 * 11 + 16 * 17 + 1
    assert tokens == {"tiny": 73, "small": 111, "base": 273, "large": 421, "gundam": nine}
    named = sorted(each["mm_processor_kwargs"]["resolution"] for each in faults.pages)
    assert named == sorted(tokens)
    with pytest.raises(ConfigurationError, match="huge"):
        list(engine.read([PageRequest(key=1, image=tall, prompt="free", resolution="huge")]))


def test_a_server_that_fails_at_the_probe_is_not_taken_for_one_without_the_plugin(
    faults: Faults,
) -> None:
    faults.modes = "500"
    with pytest.raises(UnavailableError, match="status 500"):
        engine_for(faults).capabilities()


def test_at_most_six_tiles_where_vllm_cuts(faults: Faults) -> None:
    tall = Image.new("RGB", (400, 3600))
    (output,) = engine_for(faults).read(
        [PageRequest(key=1, image=tall, prompt="free", resolution="gundam")]
    )
    assert output.vision_tokens == 60 * 11 + 16 * 17 + 1


def test_the_no_repeat_ngram_is_proven_before_the_first_page(faults: Faults) -> None:
    faults.no_repeat_ngram = False
    with pytest.raises(ConfigurationError, match="NGramPerReqLogitsProcessor") as caught:
        read(engine_for(faults), "free")
    assert caught.value.code == "server_no_repeat_ngram"
    assert not faults.pages
    assert read(engine_for(faults, decoding=Decoding(ngram_size=0)), "free")
    assert "vllm_xargs" not in faults.pages[0]
    faults.no_repeat_ngram = True
    engine = engine_for(faults)
    read(engine, "free")
    read(engine, "free")
    assert len([each for each in faults.probes if "ignore_eos" in each]) == 2, "it is asked once"


def test_another_model_or_revision_or_no_repeat_ngram_is_refused(faults: Faults) -> None:
    faults.card = own_capabilities("m", "abc", Decoding()).card()
    with pytest.raises(ConfigurationError, match="abc"):
        engine_for(faults, revision="def").capabilities()
    with pytest.raises(ConfigurationError, match="Models there: m"):
        engine_for(faults, model="n").capabilities()
    with pytest.raises(ConfigurationError, match="no-repeat-n-gram constraint is"):
        engine_for(faults, decoding=Decoding(ngram_size=20)).capabilities()
    faults.card = {**faults.card, OWN: {**faults.card[OWN], "prompts": ["free"]}}
    with pytest.raises(ConfigurationError, match="supports the prompts free"):
        read(engine_for(faults), "markdown")
    assert engine_for(faults, revision="abc").capabilities().revision == "abc"


@pytest.mark.parametrize("card", [{}, {"id": "m", OWN: 3}, {"id": "m", "max_model_len": "x"}])
def test_a_server_of_another_kind(faults: Faults, card: dict[str, Any]) -> None:
    faults.card = card
    with pytest.raises(UnavailableError) as caught:
        engine_for(faults).capabilities()
    assert caught.value.code == "server_response"
