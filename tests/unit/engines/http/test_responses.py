"""Errors that statuses, bodies and faults of the connection mean."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from airflow_deepseek_ocr.engines.http.responses import (
    Refusal,
    read_body,
    refusal_error,
    transport_error,
)
from airflow_deepseek_ocr.engines.http.retries import (
    ConnectionBrokenError,
    PageFailedError,
    PageFileMissingError,
    RetryableError,
    ServerFullError,
)
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.request_errors import RequestErrorCode
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, ServerUnreachableError

ENDPOINT = Endpoint("http://server:1", "hunter22")


def refusal(status: int, **options: Any) -> Refusal:
    return Refusal(endpoint=ENDPOINT, status=status, **options)


@pytest.mark.parametrize(
    ("refused", "kind", "code"),
    [
        (refusal(401), ConfigurationError, ErrorCode.SERVER_API_KEY),
        (refusal(403), ConfigurationError, ErrorCode.SERVER_API_KEY),
        (refusal(404), ConfigurationError, ErrorCode.SERVER_MODEL),
        (refusal(413), PageFailedError, ErrorCode.PAGE_TOO_LARGE),
        (refusal(429), ServerFullError, ErrorCode.SERVER_FULL),
        (refusal(400), PageFailedError, ErrorCode.SERVER_REFUSED),
        (refusal(307), PageFailedError, ErrorCode.SERVER_REFUSED),
        (refusal(400, code=RequestErrorCode.NO_PAGE_FILE), PageFileMissingError, ErrorCode.SERVER_REFUSED),
        (refusal(500), RetryableError, ErrorCode.SERVER_ERROR),
        (refusal(503), RetryableError, ErrorCode.SERVER_ERROR),
        (refusal(500, final=True, code="engine_error"), PageFailedError, ErrorCode.ENGINE_ERROR),
        (refusal(500, final=True, code="unheard_of"), PageFailedError, ErrorCode.SERVER_ERROR),
    ],
)  # fmt: skip
def test_the_error_of_a_refusal(refused: Refusal, kind: type, code: ErrorCode) -> None:
    error = refusal_error(refused)
    assert type(error) is kind
    inner = error.error if isinstance(error, PageFailedError) else error
    assert getattr(inner, "code", None) == code


def test_a_refusal_is_read_without_the_api_key() -> None:
    body = json.dumps({"error": {"message": "not hunter22", "code": "c"}}).encode()
    headers = {"retry-after": "2.5", "x-should-retry": "false"}
    read = Refusal.of(httpx.Response(500, headers=headers), body, ENDPOINT)
    assert (read.code, read.message) == ("c", "not ***")
    assert (read.retry_after_s, read.final) == (2.5, True)
    other = Refusal.of(httpx.Response(502, headers={"retry-after": "soon"}), b"<html>", ENDPOINT)
    assert (other.code, str(other), other.retry_after_s) == (None, "502 <html>", 0.0)


@pytest.mark.parametrize(
    ("refused", "expected"),
    [(refusal(401), True), (refusal(503), True), (refusal(503, final=True), False), (refusal(500), False)],
)  # fmt: skip
def test_some_refusals_suggest_another_server(refused: Refusal, expected: bool) -> None:
    assert refused.suggests_new_server is expected


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (httpx.ConnectError(""), RetryableError, ErrorCode.SERVER_UNREACHABLE),
        (httpx.ConnectTimeout(""), RetryableError, ErrorCode.SERVER_UNREACHABLE),
        (httpx.ReadTimeout(""), PageFailedError, ErrorCode.SERVER_TIMEOUT),
        (httpx.ReadError(""), ConnectionBrokenError, ErrorCode.SERVER_BROKEN),
        (httpx.RemoteProtocolError(""), ConnectionBrokenError, ErrorCode.SERVER_BROKEN),
    ],
)
def test_the_error_of_a_fault(fault: httpx.TransportError, kind: type, code: ErrorCode) -> None:
    error = transport_error(ENDPOINT, fault, 5)
    assert type(error) is kind
    assert isinstance(error, PageFailedError)
    assert error.error.code == code
    assert isinstance(error.error, ServerUnreachableError) == (code == ErrorCode.SERVER_UNREACHABLE)


def test_a_body_beyond_any_page_is_not_kept() -> None:
    assert asyncio.run(read_body(httpx.Response(200, content=b"text"))) == b"text"
    with pytest.raises(httpx.TransportError):
        asyncio.run(read_body(httpx.Response(200, content=b"x" * (17 << 20))))
