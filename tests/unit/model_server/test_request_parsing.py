"""Chat completion requests, and the pages in them."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.protocol.chat_completions import chat_request, own_capabilities
from airflow_deepseek_ocr.engines.protocol.request_errors import RequestErrorCode
from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.model_server.request_parsing import (
    AskedProbabilities,
    RequestError,
    parse_page,
)
from airflow_deepseek_ocr.ocr.decoding import Decoding, NoRepeatNgram

SERVER = own_capabilities("m", "", Decoding())


def url(mode: str = "RGB", kind: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.new(mode, (8, 6)).save(buffer, kind)
    content = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{kind.lower()};base64,{content}"


def raw(image_url: str | None = None, line: str = "Free OCR.", **changes: Any) -> bytes:
    body = chat_request(
        model="m",
        image_url=image_url or url(),
        line=line,
        resolution="tiny",
        max_tokens=20,
        no_repeat_ngram=(30, 90),
        table_cells=(),
    )
    return json.dumps(body | changes).encode()


def test_a_page_has_the_fields_of_its_request() -> None:
    page = parse_page(raw(vllm_xargs={"ngram_size": 20, "window_size": 200}), SERVER, "gundam")
    assert (page.prompt, page.resolution, page.max_tokens) == ("free", "tiny", 20)
    assert page.no_repeat_ngram == NoRepeatNgram(20, 200)
    assert (page.image.mode, page.image.size) == ("RGB", (8, 6))
    usual = parse_page(raw(url("L")), SERVER, "gundam")
    assert (usual.no_repeat_ngram, usual.image.mode) == (None, "L")
    assert parse_page(raw(mm_processor_kwargs=None), SERVER, "gundam").resolution == "gundam"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, RequestErrorCode.BAD_REQUEST),
        (raw(stream=True), 400, RequestErrorCode.BAD_REQUEST),
        (raw(messages=[]), 400, RequestErrorCode.BAD_REQUEST),
        (raw(model="other"), 404, RequestErrorCode.MODEL_NOT_FOUND),
        (raw(ignore_eos=True), 400, ErrorCode.SERVER_END),
        (raw(mm_processor_kwargs={"resolution": "huge"}), 400, ErrorCode.SERVER_MODE),
        (raw(vllm_xargs={"ngram_size": 3}), 400, ErrorCode.SERVER_NO_REPEAT_NGRAM),
        (raw(line="Write a poem."), 400, ErrorCode.SERVER_PROMPT),
        (raw(line="locate:<|ref|>"), 400, ErrorCode.PROMPT_TEXT),
        (raw("http://127.0.0.1:1/x.png"), 400, RequestErrorCode.BAD_IMAGE),
        (raw("data:image/png;base64,!!"), 400, RequestErrorCode.BAD_IMAGE),
        (raw("data:image/png;base64,AAAA"), 400, RequestErrorCode.BAD_IMAGE),
        (raw(logprobs=True, top_logprobs=3), 400, RequestErrorCode.BAD_REQUEST),
        (raw(top_logprobs=1), 400, RequestErrorCode.BAD_REQUEST),
        (raw(url(kind="GIF")), 400, RequestErrorCode.BAD_IMAGE),
    ],
)
def test_a_wrong_request_is_refused_with_a_code(body: bytes, status: int, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_page(body, SERVER, "gundam")
    assert (caught.value.status, caught.value.code) == (status, code)
    assert str(caught.value)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"logprobs": False}, None),
        ({"logprobs": True}, AskedProbabilities(0)),
        ({"logprobs": True, "top_logprobs": 2}, AskedProbabilities(2)),
        ({"deepseek_ocr": {"token_probabilities": False}}, None),
        ({"deepseek_ocr": {"token_probabilities": True}}, AskedProbabilities(None)),
    ],
)
def test_probabilities_are_asked_for_in_two_forms(
    fields: dict[str, Any], expected: AskedProbabilities | None
) -> None:
    assert parse_page(raw(**fields), SERVER, "gundam").probabilities == expected


def test_a_server_without_probabilities_says_so() -> None:
    server = own_capabilities("m", "", Decoding(token_probabilities=False))
    with pytest.raises(RequestError, match="returns no log-probabilities"):
        parse_page(raw(logprobs=True), server, "gundam")
