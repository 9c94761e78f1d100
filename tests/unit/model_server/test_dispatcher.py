"""Pages of many clients, and an engine that ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.model_server.dispatcher import Dispatcher
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest


class Engine:
    """Reads a few pages and fails on the next one, or ends with its source."""

    def __init__(self, most: int | None) -> None:
        self._most = most

    def works(self) -> bool:
        return True

    def read(self, requests: Iterable[PageRequest]) -> Iterator[PageOutput]:
        for number, request in enumerate(requests):
            if number == self._most:
                raise RuntimeError("lost")
            yield PageOutput(key=request.key, text="read")


def page(key: int, cancelled: Callable[[], bool]) -> PageRequest:
    return PageRequest(
        key=key,
        image=Image.new("RGB", (1, 1)),
        prompt="free",
        resolution="tiny",
        cancelled=cancelled,
    )


def started(engine: Any) -> tuple[Dispatcher, threading.Event]:
    broken = threading.Event()
    pages = Dispatcher(engine, broken.set, slots=4)
    pages.start()
    return pages, broken


def answers(pages: Dispatcher, count: int) -> list[str]:
    """Text or error of each, in order; none may wait for ever."""

    async def all_of_them() -> list[PageOutput]:
        outputs = [asyncio.create_task(pages.read(page)) for _ in range(count)]
        return await asyncio.wait_for(asyncio.gather(*outputs), 10)

    return [
        output.error.code if output.error else output.text for output in asyncio.run(all_of_them())
    ]


def test_pages_that_come_when_the_engine_has_failed_are_refused() -> None:
    pages, broken = started(Engine(1))
    assert answers(pages, 2) == ["read", ErrorCode.SERVER_BROKEN]
    assert broken.wait(10)
    assert answers(pages, 2) == [ErrorCode.SERVER_BROKEN, ErrorCode.SERVER_BROKEN]


@pytest.mark.parametrize("read_before", [0, 2])
def test_pages_that_come_when_the_engine_has_ended_are_refused(read_before: int) -> None:
    pages, broken = started(Engine(None))
    assert answers(pages, read_before) == ["read"] * read_before
    pages.stop()
    assert answers(pages, 1) == [ErrorCode.SERVER_BROKEN]
    assert not broken.is_set()


def test_pages_wait_until_the_engine_takes_them() -> None:
    taking = threading.Event()

    class Waiting(Engine):
        def read(self, requests: Iterable[PageRequest]) -> Iterator[PageOutput]:
            source = iter(requests)
            first = next(source)
            taking.wait(10)
            yield PageOutput(key=first.key, text="read")
            for request in source:
                yield PageOutput(key=request.key, text="read")

    pages, _ = started(Waiting(None))

    async def waiting() -> list[int]:
        outputs = [asyncio.create_task(pages.read(page)) for _ in range(3)]
        while pages.queued != 2:
            await asyncio.sleep(0.01)
        taking.set()
        await asyncio.wait_for(asyncio.gather(*outputs), 10)
        return [pages.queued]

    assert asyncio.run(waiting()) == [0]
    pages.stop()


def test_a_page_without_color_reaches_the_engine_with_one_channel() -> None:
    """Three channels would be three times the work; the engine's preparation takes any mode."""
    modes = []

    class Noting(Engine):
        def read(self, requests: Iterable[PageRequest]) -> Iterator[PageOutput]:
            for request in requests:
                modes.append(request.image.mode)
                yield PageOutput(key=request.key, text="read")

    pages, _ = started(Noting(None))

    async def both() -> None:
        for mode in ("L", "RGB"):
            image = Image.new(mode, (1, 1))
            await pages.read(
                lambda key, cancelled, image=image: replace(page(key, cancelled), image=image)
            )

    asyncio.run(both())
    pages.stop()
    assert modes == ["L", "RGB"]
