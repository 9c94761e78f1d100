"""Many clients of one server: shares, full queues and their retries."""

from __future__ import annotations

import socket
import threading
import time

from PIL import Image

from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.integration.servers.conftest import MAX_PENDING, Server
from tests.integration.servers.model_requests import (
    CHAT,
    body,
    engine_for,
)
from tests.support.waiting import eventually


def test_many_clients_share_the_model_and_wait_for_admission(
    server: Server, table: Image.Image
) -> None:
    """Four clients with more pages in flight than the server takes, each of 475 tokens as far as it knows:
    all are read, none twice."""
    texts: dict[int, list[str]] = {}

    def call(number: int) -> None:
        engine = engine_for(server, pages=8)
        requests = [
            PageRequest(
                key=key, image=table, prompt="free", resolution="tiny", max_output_length=400
            )
            for key in range(8)
        ]
        outputs = list(engine.read(requests))
        assert sorted(output.key for output in outputs) == list(range(8))  # type: ignore[type-var]
        texts[number] = [output.text for output in outputs]

    before = server.metric('deepseek_ocr_http_responses_total{status="429"}')
    clients = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
    assert len(texts) == 4
    assert len({text for each in texts.values() for text in each}) == 1
    assert server.metric('deepseek_ocr_http_responses_total{status="429"}') > before


def test_one_page_does_not_wait_for_those_of_another_client(
    server: Server, table: Image.Image
) -> None:
    """Of forty pages of another's only those that the engine has taken already are read before it."""
    ended: list[float] = []

    def many() -> None:
        requests = [
            PageRequest(
                key=key, image=table, prompt="free", resolution="tiny", max_output_length=30
            )
            for key in range(40)
        ]
        for output in engine_for(server, pages=30).read(requests):
            assert output.error is None
            ended.append(time.monotonic())

    client = threading.Thread(target=many)
    client.start()
    eventually(lambda: len(ended) >= 4)
    began = time.monotonic()
    (output,) = engine_for(server).read(
        [PageRequest(key=1, image=table, prompt="free", resolution="tiny", max_output_length=30)]
    )
    read = time.monotonic()
    client.join(60)
    assert output.error is None
    assert len(ended) == 40
    between = sum(began <= each <= read for each in ended)
    # Four are being read and four are taken when it comes; four run beside it.
    assert between <= 16, ended


def test_a_full_server_says_when_to_come_again(server: Server, invoice: Image.Image) -> None:
    request = body(invoice, max_tokens=400)
    port = int(server.endpoint.url.rpartition(":")[2])
    head = f"Authorization: Bearer {server.endpoint.api_key}\r\nContent-Length: 5000\r\nHost: x\r\n"
    waiting = []
    try:
        for _ in range(MAX_PENDING):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.sendall(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n{{".encode())
            waiting.append(connection)
        eventually(lambda: server.metric("deepseek_ocr_pending_pages") == MAX_PENDING)
        with server.client() as client:
            answer = client.post(CHAT, json=request)
            assert answer.status_code == 429
            assert int(answer.headers["Retry-After"]) >= 1
        page = [
            PageRequest(key=1, image=invoice, prompt="free", resolution="tiny", max_output_length=3)
        ]
        engine = engine_for(server, retry_policy=RetryPolicy(full_s=0.1))
        (output,) = engine.read(page)
        assert output.error is None  # another client, with less than a share
        engine = engine_for(server, retry_policy=RetryPolicy(full_s=0.1), client_id="")
        (output,) = engine.read(page)
        assert output.error is not None
        assert output.error.code == "server_full"
    finally:
        for connection in waiting:
            connection.close()
    eventually(lambda: server.metric("deepseek_ocr_pending_pages") == 0)
