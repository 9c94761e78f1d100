"""Pages in flight, uploads and connections of the HTTP engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest

from airflow_deepseek_ocr.engines.http.session import UploadLimits
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest, Progress
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from tests.support.fakes.fault_server import TEXT, Faults
from tests.support.fixtures.fault_engine import RETRY_POLICY, engine_for, page


def test_pages_in_flight_are_bounded_and_taken_as_they_are_sent(faults: Faults) -> None:
    faults.script = {prompt_line("free"): ["slow"] * 99}
    taken = done = 0

    def requests() -> Iterator[PageRequest]:
        nonlocal taken
        for _ in range(12):
            taken += 1
            assert taken - done <= 3 + 3 + 2, "taken too far ahead"
            yield page("free")

    for _ in engine_for(faults, pages=3).read(requests()):
        done += 1
    assert (done, faults.most_in_flight) == (12, 3)


def test_a_page_is_sent_as_soon_as_it_is_ready(faults: Faults) -> None:
    """Even if no page in flight has ended."""
    faults.script = {prompt_line("ocr"): ["hang"] * 5}

    def requests() -> Iterator[PageRequest]:
        for number in range(5):
            yield page("ocr")
            deadline = time.monotonic() + 5
            while len(faults.pages) <= number:
                assert time.monotonic() < deadline, "it waits for an answer"
                time.sleep(0.01)
        faults.over.set()

    assert len(list(engine_for(faults, pages=8, poll_s=30.0).read(requests()))) == 5


class GatheringTransport(httpx.AsyncBaseTransport):
    """A server that responds when it has all pages; the connection of one breaks at first.

    :param pages: number of pages.
    :param stuck: number of first pages that it receives only after the others.
    """

    def __init__(self, pages: int, stuck: int = 0) -> None:
        self._all, self._broken, self._stuck = pages, False, stuck
        self.sending = self.most_sending = self.sent = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sending += 1
        self.most_sending = max(self.sending, self.most_sending)
        body = b""
        stuck, self._stuck = self._stuck > 0, self._stuck - 1
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for part in request.stream:
            body += part
            await asyncio.sleep(0.005)
            while stuck and self.sent < self._all - 2:
                await asyncio.sleep(0.005)
            if not self._broken and self.sent == 1:
                self._broken = True
                self.sending -= 1
                raise httpx.WriteError("broken")
        self.sending -= 1
        self.sent += 1
        assert len(body) == int(request.headers["Content-Length"])
        while self.sent < self._all:
            await asyncio.sleep(0.005)
        choice = {"message": {"content": TEXT}, "finish_reason": "stop"}
        return httpx.Response(200, json={"choices": [choice]})

    def connect(self, endpoint: Endpoint, _: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self, base_url=endpoint.url)


def test_few_pages_are_uploaded_at_once_and_many_in_flight(faults: Faults) -> None:
    """Also after one upload has broken: its turn is over."""
    transport = GatheringTransport(20)
    engine = engine_for(
        faults, pages=20, uploads=UploadLimits(concurrent=2), connect=transport.connect
    )
    assert [output.text for output in engine.read([page("free")] * 20)] == [TEXT] * 20
    assert (transport.most_sending, transport.sent) == (2, 20)


def test_uploads_that_the_server_does_not_receive_delay_others_only_for_a_turn(
    faults: Faults,
) -> None:
    transport = GatheringTransport(9, stuck=2)
    uploads = UploadLimits(concurrent=2, turn_s=0.1)
    engine = engine_for(faults, pages=9, uploads=uploads, connect=transport.connect)
    assert [output.text for output in engine.read([page("free")] * 9)] == [TEXT] * 9


@pytest.mark.parametrize(("keepalive_s", "new_connections"), [(0.0, 1), (60.0, 0)])
def test_a_connection_that_the_server_may_be_about_to_close_is_not_used(
    faults: Faults, keepalive_s: float, new_connections: int
) -> None:
    def connect(endpoint: Endpoint, connections: int) -> httpx.AsyncClient:
        return endpoint.async_client(RETRY_POLICY.timeout, connections, keepalive_s)

    engine = engine_for(faults, pages=1, connect=connect)
    outputs = engine.read(page("free") for _ in range(2))
    next(outputs)
    before = faults.connections
    assert len(list(outputs)) == 1
    assert faults.connections == before + new_connections


def test_progress_is_reported(faults: Faults) -> None:
    faults.script = {prompt_line("free"): ["slow"] * 4}
    reports: list[Progress] = []
    list(
        engine_for(faults, pages=2, progress_interval_s=0.0).read(
            [page("free")] * 4, reports.append
        )
    )
    assert max(each.pages_in_flight for each in reports) == 2
    assert reports[-1].pages_done == 4
