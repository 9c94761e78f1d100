"""Requests for pages, and outputs in the responses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.http.image_delivery import EncodedPage, ImageDelivery, Server
from airflow_deepseek_ocr.engines.http.page_exchange import read_output, request_body
from airflow_deepseek_ocr.engines.http.token_probabilities import ProbabilityReader
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    END_OF_TEXT,
    OWN,
    PUBLISHED_TABLE_CELLS,
    Capabilities,
    chat_request,
)
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageRequest

VLLM = Capabilities(model="m", context_length=1000)


def page(**options: Any) -> EncodedPage:
    request = PageRequest(
        key=7, image=Image.new("L", (40, 30)), prompt="free", resolution="gundam", **options
    )
    return ImageDelivery().prepare(request, Server(Endpoint("http://127.0.0.1:1"), VLLM))


def body_of(page: EncodedPage, server: Capabilities) -> dict[str, Any]:
    parts = request_body(page, b"x", server, Decoding(), PUBLISHED_TABLE_CELLS)
    body: dict[str, Any] = json.loads(b"".join(parts))
    return body


@pytest.mark.parametrize("name", ["m", '"url":""', "ein Größeres"])
def test_the_image_is_put_into_the_request_where_it_belongs(name: str) -> None:
    server = Capabilities(model=name, version="1")
    request = PageRequest(
        key=1, image=Image.effect_noise((40, 30), 90), prompt=f"locate:{name}", resolution="gundam"
    )
    page = ImageDelivery().prepare(request, Server(Endpoint("http://127.0.0.1:1"), server))
    assert page.image_url is not None
    parts = request_body(page, page.image_url, server, Decoding(), PUBLISHED_TABLE_CELLS)
    assert any(part is page.image_url for part in parts), "it is not copied"
    assert json.loads(b"".join(parts)) == chat_request(
        model=name,
        image_url=page.image_url.decode(),
        line=page.line,
        resolution=None,
        max_tokens=Decoding().max_output_length,
        no_repeat_ngram=(Decoding().ngram_size, Decoding().ngram_window),
        table_cells=PUBLISHED_TABLE_CELLS,
    )


def test_vllm_is_asked_for_no_more_tokens_than_its_context_has() -> None:
    vision = VLLM.vision_tokens("gundam", 40, 30)
    assert body_of(page(), VLLM)["max_tokens"] == 1000 - vision - len("Free OCR.") - 8
    assert body_of(page(max_output_length=5), VLLM)["max_tokens"] == 5
    assert body_of(page(), Capabilities(model="m", version="1"))["max_tokens"] == 8192


def test_an_output_has_the_servers_counts_and_no_end_token() -> None:
    answer = {
        "choices": [{"message": {"content": f"text{END_OF_TEXT}"}, "finish_reason": "length"}],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 3,
            "prompt_tokens_details": {"image_tokens": 5},
        },
        OWN: {"seconds": 0.25},
    }
    output = read_output(page(), json.dumps(answer).encode(), 1.0, VLLM)
    assert (output.key, output.text, output.finish_reason) == (7, "text", FinishReason.LENGTH)
    assert (output.vision_tokens, output.prompt_tokens, output.text_tokens) == (5, 9, 3)
    assert output.seconds == 0.25


def test_probabilities_are_asked_for_where_there_are_some() -> None:
    assert "logprobs" not in body_of(page(), VLLM)
    able = body_of(page(), replace(VLLM, token_probabilities=True))
    assert (able["logprobs"], able["top_logprobs"]) == (True, 2)
    ours = body_of(page(), replace(VLLM, token_probabilities=True, version="1"))
    assert ours[OWN] == {"token_probabilities": True}
    assert "logprobs" not in ours
    without = Decoding(token_probabilities=False)
    parts = request_body(
        page(), b"x", replace(VLLM, token_probabilities=True), without, PUBLISHED_TABLE_CELLS
    )
    assert b"logprobs" not in b"".join(parts)


@pytest.mark.parametrize(("logprob", "kept"), [(-0.5, True), ("x", False)])
def test_a_page_keeps_its_text_whatever_its_probabilities_are(logprob: Any, kept: bool) -> None:
    choice = {
        "message": {"content": "text"},
        "finish_reason": "stop",
        "logprobs": {"content": [{"token": "text", "logprob": logprob}]},
    }
    able = replace(VLLM, token_probabilities=True)
    body = json.dumps({"choices": [choice]}).encode()
    output = read_output(page(), body, 1.0, able, ProbabilityReader())
    assert (output.text, output.error) == ("text", None)
    assert (output.token_probabilities is not None) == kept
    assert read_output(page(), body, 1.0, able).token_probabilities is None


def test_missing_counts_are_computed_or_zero() -> None:
    answer = {"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}
    output = read_output(page(), json.dumps(answer).encode(), 1.5, VLLM)
    assert (output.text, output.text_tokens, output.seconds) == ("", 0, 1.5)
    assert output.vision_tokens == VLLM.vision_tokens("gundam", 40, 30)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"choices": []}', b'{"choices": [3]}'])
def test_a_body_that_is_no_completion_is_an_error_of_the_page(body: bytes) -> None:
    output = read_output(page(), body, 1.0, VLLM)
    assert output.error is not None
    assert (output.key, output.error.code) == (7, ErrorCode.SERVER_RESPONSE)
