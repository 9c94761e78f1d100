"""Limits on the bytes and the time of a response."""

from __future__ import annotations

import threading
import time

import httpx
import pytest

from airflow_deepseek_ocr.engines.protocol.bounded_request import (
    ResponseLimitError,
    bounded_request,
)
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from tests.support.fakes.fault_server import Faults, fault_server
from tests.support.servers.hostile_server import hostile_server

_SECONDS = 0.6


def ask(port: int, *, scheme: str = "http") -> None:
    with Endpoint(f"{scheme}://127.0.0.1:{port}").client(httpx.Timeout(5)) as client:
        bounded_request(client, "GET", "/v1/models", max_bytes=1 << 20, seconds=_SECONDS)


@pytest.mark.parametrize(
    "answer",
    [
        "silent",
        "trickled body",
        "trickled status",
        "trickled header",
        "trickled headers",
        "informational",
        "huge length",
    ],
)
def test_a_response_ends_in_time_wherever_it_trickles(answer: str) -> None:
    started, threads = time.monotonic(), set(threading.enumerate())
    with hostile_server(answer) as port:
        with pytest.raises(ResponseLimitError, match=r"takes more than 0\.6 s"):
            ask(port)
        assert time.monotonic() - started < _SECONDS + 1
    # Threads of earlier tests may end meanwhile.
    assert not set(threading.enumerate()) - threads


def test_a_tls_handshake_ends_in_time() -> None:
    started = time.monotonic()
    with hostile_server("trickled handshake") as port:
        with pytest.raises(ResponseLimitError):
            ask(port, scheme="https")
        assert time.monotonic() - started < _SECONDS + 1


@pytest.mark.parametrize("answer", ["endless", "endless header"])
def test_a_response_ends_at_its_limit_of_bytes(answer: str) -> None:
    with hostile_server(answer) as port, pytest.raises(httpx.TransportError):
        ask(port)


def test_compressed_content_stays_compressed() -> None:
    with hostile_server("gzip bomb") as port:
        ask(port)


def test_each_request_has_its_own_time() -> None:
    with (
        fault_server(Faults()) as server,
        Endpoint(server.url).client(httpx.Timeout(5)) as client,
    ):
        for _ in range(3):
            answer = bounded_request(client, "GET", "/v1/models", max_bytes=1 << 20)
            assert (answer.status, b'"id": "m"' in answer.content) == (200, True)
            assert threading.active_count() < 20


def test_a_server_that_is_away_is_no_limit() -> None:
    with pytest.raises(httpx.ConnectError):
        ask(9)
