"""Connections and pages end: silent and vanished clients, and the end of the server."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import httpx
import pytest
from PIL import Image

from airflow_deepseek_ocr.model_server.http_timeouts import HEAD_TIMEOUT_S
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.integration.servers.conftest import Server
from tests.integration.servers.model_requests import (
    CHAT,
    body,
    connection_to,
    engine_for,
    with_prompt,
)
from tests.support.waiting import eventually


@pytest.mark.timeout(120)
def test_connections_that_say_nothing_are_closed(server: Server, table: Image.Image) -> None:
    """A port scanner: open connections, half a head, and a body that never comes."""
    post = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 30}\r\n"
    said = [b"", b"GET", post.encode(), f"{post}\r\n".encode()]
    with ExitStack() as stack:
        scans = [stack.enter_context(connection_to(server)) for _ in range(300)]
        for number, scan in enumerate(scans):
            scan.sendall(said[number % 4])
        requests = [
            PageRequest(key=key, image=table, prompt="free", resolution="tiny", max_output_length=5)
            for key in range(4)
        ]
        outputs = list(engine_for(server).read(requests))
        assert [output.error for output in outputs] == [None] * 4
        kept = stack.enter_context(connection_to(server))
        kept.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /health/live HTT")

        def trickle_is_closed() -> bool:
            if select.select([scans[1]], [], [], 0)[0]:
                return True
            scans[1].sendall(b"G")
            return False

        # A little now and then does not extend the time-out.
        eventually(trickle_is_closed, HEAD_TIMEOUT_S + 10)
        ends = [b"".join(iter(partial(scan.recv, 1000), b"")) for scan in (*scans, kept)]
    assert all(end.startswith(b"HTTP/1.1 401") for end in ends[3:300:4])
    assert ends[-1].startswith(b"HTTP/1.1 200")
    assert {ends[number] for number in range(300) if number % 4 != 3} == {b""}


def test_a_client_that_vanishes_leaves_nothing_behind(server: Server, invoice: Image.Image) -> None:
    request = body(invoice, max_tokens=2000)
    gone = server.metric('deepseek_ocr_http_responses_total{status="499"}')

    def call() -> None:
        with server.client(0.7) as client, pytest.raises(httpx.ReadTimeout):
            client.post(CHAT, json=request | {"messages": with_prompt(request, "markdown")})

    client = threading.Thread(target=call)
    client.start()
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 1)
    client.join()
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 0)
    assert server.metric('deepseek_ocr_http_responses_total{status="499"}') == gone + 1
    # And in the middle of sending.
    port = int(server.endpoint.url.rpartition(":")[2])
    head = f"Authorization: Bearer {server.endpoint.api_key}\r\nContent-Length: 5000\r\nHost: x\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n{{".encode())
        eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 1)
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 0)


def test_closing_the_generator_cancels_what_is_in_flight(
    server: Server, table: Image.Image, invoice: Image.Image
) -> None:
    taken = 0

    def requests() -> Iterator[PageRequest]:
        nonlocal taken
        yield PageRequest(
            key=-1, image=table, prompt="free", resolution="tiny", max_output_length=3
        )
        for key in range(100):
            taken += 1
            yield PageRequest(
                key=key,
                image=invoice,
                prompt="markdown",
                resolution="small",
                max_output_length=2000,
            )

    outputs = engine_for(server, pages=3).read(requests())
    assert next(outputs).key == -1
    outputs.close()
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 0, 5)
    assert taken < 10


def test_it_ends_its_pages_when_it_is_asked_to_leave(server: Server, invoice: Image.Image) -> None:
    """The last test of this module: afterwards the server is gone."""
    answers: list[httpx.Response] = []

    def call() -> None:
        with server.client() as client:
            answers.append(client.post(CHAT, json=body(invoice, max_tokens=60)))

    client = threading.Thread(target=call)
    client.start()
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 1)
    server.process.stop(timeout_s=60)
    client.join(10)
    assert [answer.status_code for answer in answers] == [200]
    assert answers[0].json()["usage"]["completion_tokens"] > 10
    assert server.process.exit_status == 0
