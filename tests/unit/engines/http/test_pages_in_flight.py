"""Pages in flight: outputs, cancelled requests, and waking up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.concurrency.event_loop_thread import EventLoopThread
from airflow_deepseek_ocr.engines.http.pages_in_flight import PagesInFlight
from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest


@pytest.fixture
def loop() -> Iterator[EventLoopThread]:
    with EventLoopThread() as loop:
        yield loop


def request(key: int, **options: Any) -> PageRequest:
    image = Image.new("L", (1, 1))
    return PageRequest(key=key, image=image, prompt="free", resolution="tiny", **options)


def after(event: threading.Event | None, key: int) -> Any:
    async def exchange() -> PageOutput:
        while event is not None and not event.is_set():
            await asyncio.sleep(0.005)
        return PageOutput(key=key)

    return exchange


def test_outputs_come_in_the_order_in_which_pages_finish(loop: EventLoopThread) -> None:
    pages, slow = PagesInFlight(loop, poll_s=20), threading.Event()
    pages.start(request(1), after(slow, 1))
    pages.start(request(2), after(None, 2))
    assert len(pages) == 2
    first = pages.next_output()
    slow.set()
    second = pages.next_output()
    assert [output and output.key for output in (first, second)] == [2, 1]
    assert len(pages) == 0


def test_it_returns_early_when_woken_up(loop: EventLoopThread) -> None:
    pages = PagesInFlight(loop, poll_s=60)
    pages.wake()
    assert pages.next_output() is None


def test_a_cancelled_request_gets_an_output_with_the_error(loop: EventLoopThread) -> None:
    pages = PagesInFlight(loop, poll_s=0.01)
    pages.start(request(1, cancelled=lambda: True), after(threading.Event(), 1))
    output = None
    while output is None:
        output = pages.next_output()
    assert output.error is not None
    assert (output.key, output.error.code) == (1, ErrorCode.CANCELLED)


def test_an_error_of_all_pages_is_raised(loop: EventLoopThread) -> None:
    async def fail() -> PageOutput:
        raise RuntimeError("all")

    pages = PagesInFlight(loop, poll_s=20)
    pages.start(request(1), fail)
    with pytest.raises(RuntimeError, match="all"):
        pages.next_output()


def test_closing_cancels(loop: EventLoopThread) -> None:
    pages = PagesInFlight(loop, poll_s=20)
    pages.start(request(1), after(threading.Event(), 1))
    pages.close()
    output = pages.next_output()
    assert output is not None
    assert output.error is not None
