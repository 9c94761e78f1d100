"""The resident server over TCP returns the texts of the in-process engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    prompt_of_line,
)
from airflow_deepseek_ocr.engines.protocol.token_logprobs import of_openai
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.prompts import PROMPTS, prompt_line
from tests.integration.servers.conftest import Server, start_server
from tests.integration.servers.model_requests import (
    CHAT,
    body,
    engine_for,
    with_prompt,
)


def test_texts_are_those_of_the_in_process_engine(
    server: Server,
    mixed: list[PageRequest],
    expected: dict[str, Any],
    in_process: dict[str, PageOutput],
) -> None:
    outputs = list(engine_for(server).read(iter(mixed[::-1])))
    assert {
        output.key: (
            output.text,
            str(output.finish_reason),
            output.vision_tokens,
            output.text_tokens,
        )
        for output in outputs
    } == expected
    assert all(output.seconds > 0 for output in outputs)
    assert len({text for text, *_ in expected.values()}) == len(expected)
    for output in outputs:
        found, own = output.token_probabilities, in_process[str(output.key)].token_probabilities
        assert found is not None
        assert own is not None
        assert found.text == output.text
        assert (found.pieces, found.runner_up_pieces) == (own.pieces, own.runner_up_pieces)
        for values, others in (
            (found.log_probabilities, own.log_probabilities),
            (found.runner_up, own.runner_up),
        ):
            assert values == pytest.approx(others, abs=1e-4)


def test_any_client_may_ask_for_probabilities_as_openai_has_them(
    server: Server, table: Image.Image
) -> None:
    with server.client() as client:
        asked = body(table, logprobs=True, top_logprobs=2)
        choice = client.post(CHAT, json=asked).json()["choices"][0]
        plain = client.post(CHAT, json=body(table)).json()["choices"][0]
    assert "logprobs" not in plain
    text = plain["message"]["content"]
    content = choice["logprobs"]["content"]
    assert b"".join(bytes(token["bytes"]) for token in content).decode() == text != ""
    for token in content:
        values = [other["logprob"] for other in token["top_logprobs"]]
        assert len(values) == 2
        assert 0 >= values[0] >= values[1]
        # The tokens of this page are not constrained, so each is the most probable one.
        assert token["logprob"] == values[0]
    assert of_openai(choice["logprobs"], text).text == text


def test_the_metrics_say_what_the_time_goes_into(server: Server, table: Image.Image) -> None:
    names = [
        f'deepseek_ocr_device_seconds_total{{phase="{phase}"}}'
        for phase in ("vision", "prefill", "decode")
    ]
    before = [server.metric(name) for name in names]
    list(
        engine_for(server).read(
            [PageRequest(key=1, image=table, prompt="free", resolution="tiny", max_output_length=8)]
        )
    )
    assert all(server.metric(name) > old for name, old in zip(names, before, strict=True))
    assert server.metric("deepseek_ocr_pages_preempted_total") == 0
    assert server.metric("deepseek_ocr_slots") == 4
    assert server.metric("deepseek_ocr_cache_blocks") > server.metric(
        "deepseek_ocr_cache_blocks_used"
    )
    for empty in ("queued_pages", "running_pages", "cache_blocks_used", "oldest_page_seconds"):
        assert server.metric(f"deepseek_ocr_{empty}") == 0


def test_what_the_server_says_of_itself(server: Server) -> None:
    capabilities = engine_for(server).capabilities()
    assert capabilities.modes == ("tiny", "small", "base", "large", "gundam")
    assert (capabilities.no_repeat_ngram, capabilities.pages, capabilities.max_tiles) == (
        (30, 90),
        4,
        9,
    )
    with pytest.raises(ConfigurationError, match="tiny") as caught:
        HttpEngine(lambda: server.endpoint, model="other").capabilities()
    assert caught.value.code == "server_model"


def test_lengths_as_asked_are_a_setting_of_the_server(
    server: Server, table: Image.Image, tmp_path: Path
) -> None:
    """For benchmarks: a blank page ends at once, but not there."""
    decoding = Decoding(forced=True)
    with pytest.raises(ConfigurationError, match="--ignore-end"):
        engine_for(server, decoding=decoding).capabilities()
    blank = Image.new("RGB", table.size, "white")
    request = [
        PageRequest(key=1, image=blank, prompt="free", resolution="tiny", max_output_length=33)
    ]
    (usual,) = engine_for(server).read(request)
    assert usual.text_tokens < 33
    forced = start_server(tmp_path, "--ignore-end")
    try:
        (output,) = engine_for(forced, decoding=decoding).read(request)
    finally:
        forced.process.stop()
    assert (output.error, output.text_tokens, output.finish_reason) == (None, 33, "length")


def test_a_page_that_is_too_large_fails_alone(server: Server, table: Image.Image) -> None:
    noise = Image.effect_noise((1800, 1800), 90).convert("RGB")
    requests = [
        PageRequest(key=1, image=noise, prompt="free", resolution="tiny", max_output_length=5),
        PageRequest(key=2, image=table, prompt="free", resolution="tiny", max_output_length=5),
    ]
    outputs = {output.key: output for output in engine_for(server).read(requests)}
    assert outputs[1].error is not None
    assert outputs[1].error.code == "page_too_large"
    assert outputs[2].error is None


def test_plain_lines_and_names_are_the_same_prompts(server: Server, table: Image.Image) -> None:
    for name in (*PROMPTS, "locate:Total due"):
        if name != "locate":
            assert prompt_of_line(prompt_line(name)) == name
            assert prompt_of_line(name) == name
    assert prompt_of_line("Locate <|ref|><|/ref|> in the image.") is None
    request = body(table)
    with server.client() as client:
        texts = {
            client.post(CHAT, json=request | {"messages": with_prompt(request, line)}).json()[
                "choices"
            ][0]["message"]["content"]
            for line in ("free", "Free OCR.", "  Free OCR.\n")
        }
    assert len(texts) == 1
