"""A real vLLM on the CPU with this package's plugin, started by the supervisor (``make test-vllm``)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.factory import make_engine
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.image_encoding import data_url
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from airflow_deepseek_ocr.engines.protocol.chat_completions import TRUST_REQUESTS, chat_request
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from tests.conftest import ROOT, TINY_MODEL
from tests.support.fixtures.golden_tokenizer import write_golden_tokenizer
from tests.support.fixtures.widen import widen
from tests.support.golden import golden_image, published_widths
from tests.support.servers.vllm_on_cpu import WITHOUT_PLUGIN, Vllm, largest_difference, vllm

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]

#: Length and n-gram size of the recorded outputs.
GOLDEN_LENGTH, GOLDEN_NGRAM = 64, 3
#: Most that a log-probability may differ from the in-process engine's, both in float32.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def small(servers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    """The small checkpoint, widened to the encoder sizes that vLLM builds."""
    directory = tmp_path_factory.mktemp("small") / "checkpoint"
    widen(TINY_MODEL, directory)
    with vllm(servers, directory) as server:
        yield server


@pytest.fixture(scope="module")
def pages(invoice: Image.Image, table: Image.Image) -> list[PageRequest]:
    """Pages in all modes, with several prompts, one with more tiles than vLLM without the plugin cuts."""
    strip = invoice.crop((0, 0, invoice.width, invoice.width // 7)).resize((4480, 640))
    return [
        *(
            PageRequest(key=mode, image=invoice, prompt="free", resolution=mode)
            for mode in DEEPSEEK_OCR.resolutions
        ),
        PageRequest(key="strip", image=strip, prompt="free", resolution="gundam"),
        PageRequest(key="table", image=table, prompt="markdown", resolution="small"),
        PageRequest(key="locate", image=table, prompt="locate:Month", resolution="tiny"),
    ]


def compared(output: PageOutput, *, counts_end: bool = False) -> tuple[Any, ...]:
    """Return the fields that must be equal in vLLM and in-process.

    :param counts_end: the text tokens include the end token, as vLLM counts.
    """
    assert output.error is None
    end = counts_end and output.finish_reason == "stop"
    tokens = output.vision_tokens, output.prompt_tokens, output.text_tokens - end
    return (output.text, str(output.finish_reason), *tokens)


@pytest.fixture(scope="module")
def in_process(small: Vllm, pages: list[PageRequest]) -> dict[str, PageOutput]:
    decoding = small.settings.decoding
    engine = InProcessEngine(TINY_MODEL, device="cpu", dtype="float32", decoding=decoding)
    outputs = {str(output.key): output for output in engine.read(pages)}
    engine.close()
    return outputs


@pytest.fixture(scope="module")
def outputs(small: Vllm, pages: list[PageRequest]) -> dict[str, PageOutput]:
    engine = make_engine(small.settings, lambda: small.directory)
    assert isinstance(engine, HttpEngine)
    assert engine.modes() == tuple(DEEPSEEK_OCR.resolutions)
    return {str(output.key): output for output in engine.read(pages)}


def test_pages_in_all_modes_at_once_are_read_as_in_process(
    outputs: dict[str, PageOutput], in_process: dict[str, PageOutput]
) -> None:
    expected = {key: compared(output) for key, output in in_process.items()}
    there = {key: compared(output, counts_end=True) for key, output in outputs.items()}
    for key, values in sorted(there.items()):
        print(key, values)
    assert there == expected
    assert len({tokens for _, _, tokens, *_ in there.values()}) >= 6


def test_log_probabilities_of_all_modes_are_those_of_the_in_process_engine(
    outputs: dict[str, PageOutput], in_process: dict[str, PageOutput]
) -> None:
    """Of each token and its runner-up; docs/measurements/confidence.md has the differences that it prints."""
    for key, expected in sorted(in_process.items()):
        difference = largest_difference(outputs[key], expected)
        tokens = expected.token_probabilities
        assert tokens is not None
        print(key, len(tokens.pieces), "tokens, at most", difference)
        assert difference < TOLERANCE, key
    assert in_process.keys() >= set(DEEPSEEK_OCR.resolutions)


def test_invalid_modes_are_refused_and_the_server_continues(
    small: Vllm, table: Image.Image
) -> None:
    endpoint = small.supervisor.find()
    with endpoint.client(httpx.Timeout(900)) as client:

        def ask(options: dict[str, Any]) -> httpx.Response:
            body = chat_request(
                model=small.settings.model,
                image_url=data_url(table, local=True),
                line="Free OCR.",
                resolution=None,
                max_tokens=2,
                no_repeat_ngram=(0, 0),
                table_cells=(),
            )
            body["mm_processor_kwargs"] = options
            return client.post("/v1/chat/completions", json=body)

        for options, said in (
            ({"resolution": "huge"}, "tiny, small, base, large, gundam"),
            ({"resolution": ["tiny"]}, "tiny, small, base, large, gundam"),
            # Ends the engine of a vLLM without the plugin.
            ({"crop_mode": False}, "'resolution' alone, not crop_mode"),
            ({"resolution": "tiny", "base_size": 99}, "not base_size"),
        ):
            refused = ask(options)
            assert refused.status_code == 400, options
            assert said in refused.text
        assert ask({"resolution": "tiny"}).json()["usage"]["prompt_tokens"] == 73 + 11


def test_golden_tokens(servers: Path, tmp_path: Path) -> None:
    """The tokens that the original code wrote, in six cases of five modes."""
    golden, source, directory = (
        ROOT / "tests" / "corpus" / "golden",
        tmp_path / "toy",
        tmp_path / "checkpoint",
    )
    subprocess.run([sys.executable, golden / "make_weights.py", source], check=True, timeout=300)
    config = published_widths(json.loads((source / "config.json").read_text()))
    config["projector_config"]["n_embed"] = config["language_config"]["hidden_size"]
    (source / "config.json").write_text(json.dumps(config))
    tokenizer = write_golden_tokenizer(source, config["language_config"]["vocab_size"])
    widen(source, directory)
    requests, recorded = [], {}
    for path in sorted((golden / "cases").glob("*.json")):
        case = recorded[path.stem] = json.loads(path.read_text())
        prompt = "markdown" if "markdown" in case["prompt"] else "free"
        with Image.open(golden_image(golden, case["image"])) as image:
            requests.append(
                PageRequest(
                    key=path.stem,
                    image=image.convert("RGB"),
                    prompt=prompt,
                    resolution=case["resolution"],
                )
            )
    assert {each.resolution for each in requests} == set(DEEPSEEK_OCR.resolutions)
    with vllm(servers, directory) as server:
        for name, ngram in (("tokens", 0), ("tokens_no_repeat_3gram", GOLDEN_NGRAM)):
            decoding = Decoding(GOLDEN_LENGTH, ngram_size=ngram, ngram_window=GOLDEN_LENGTH)
            outputs = {output.key: output for output in server.engine(decoding).read(requests)}
            for key, case in recorded.items():
                words = tokenizer.decode(case[name], skip_special_tokens=False)
                # Text that is written token by token has a space before each word.
                assert outputs[key].text.removeprefix(" ") == words, (key, name)
                assert outputs[key].text_tokens == GOLDEN_LENGTH
                assert outputs[key].vision_tokens == case["vision_tokens"]
                ids = len(case["prompt_ids_before_image"]) + len(case["prompt_ids_after_image"])
                assert outputs[key].prompt_tokens == case["vision_tokens"] + ids


def test_without_the_plugin_it_reads_in_gundam_only(
    servers: Path, small: Vllm, table: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WITHOUT_PLUGIN.items():
        monkeypatch.setenv(name, value)
    # With another option it is another server.
    with vllm(
        servers, small.directory, f"{TRUST_REQUESTS} --max-num-batched-tokens 4096"
    ) as server:
        engine = server.engine(Decoding(4))
        assert engine.modes() == ("gundam",)
        with pytest.raises(ConfigurationError, match="airflow-deepseek-ocr-vllm"):
            list(engine.read([PageRequest(key=1, image=table, prompt="free", resolution="small")]))
