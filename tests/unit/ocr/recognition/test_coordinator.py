"""The hand-over between engine and reader: pages are taken lazily, freed, and the threads end in any case."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import parse_retry_with
from airflow_deepseek_ocr.ocr.results import PageStatus
from tests.support.fakes.scripted_engine import GOOD, LOOP, ScriptedEngine, in_time, read, sheet


def test_pages_are_taken_lazily_and_retried_at_once() -> None:
    drawn = done = most = 0
    first_again: int | None = None

    def pages() -> Iterator[tuple[int, Page]]:
        nonlocal drawn
        for number in range(1, 41):
            drawn += 1
            yield number, Page(number, sheet(width=700 if number % 5 else 701))

    def script(request: PageRequest) -> str:
        nonlocal first_again
        if request.no_repeat_ngram and first_again is None:
            first_again = drawn
        return LOOP if request.image.width == 701 and not request.no_repeat_ngram else GOOD

    reader = Reader(
        lambda: ScriptedEngine(script), "free", "small", steps=parse_retry_with("no_repeat_ngram")
    )
    statuses: list[PageStatus] = []
    for _, page in reader.read(pages()):
        done += 1
        most = max(most, drawn - done)
        statuses.append(page.status)
    assert done == 40
    assert statuses.count(PageStatus.RECOVERED) == 8
    assert most <= 10
    assert first_again is not None
    assert first_again < 20


def test_images_are_freed() -> None:
    """Pages are rendered again for a retry."""
    images: list[weakref.ref[Image.Image]] = []
    most = 0

    def pages() -> Iterator[tuple[int, Page]]:
        nonlocal most
        for number in range(1, 21):
            image = sheet()
            images.append(weakref.ref(image))
            page = Page(number, image, render_again=sheet)
            del image
            yield number, page
            del page
            most = max(most, sum(each() is not None for each in images))

    engine = ScriptedEngine(lambda request: GOOD if request.no_repeat_ngram else LOOP)
    reader = Reader(lambda: engine, "free", "small", steps=parse_retry_with("no_repeat_ngram"))
    assert len(list(reader.read(pages()))) == 20
    assert most <= 10


def test_closing_while_the_requests_wait_for_an_output() -> None:
    def work() -> None:
        engine = ScriptedEngine(lambda _: GOOD)
        reader = Reader(lambda: engine, "free", "small", steps=parse_retry_with("no_repeat_ngram"))
        exhausted = threading.Event()

        def pages() -> Iterator[tuple[int, Page]]:
            yield from ((number, Page(number, sheet())) for number in range(1, 4))
            exhausted.set()

        results = reader.read(pages())
        next(results)
        assert exhausted.wait(10), "the request thread takes no pages"
        results.close()

    in_time(work)


def test_an_engine_that_dies_while_the_requests_wait_for_an_output() -> None:
    caught: list[str] = []

    def work() -> None:
        engine = ScriptedEngine(lambda _: LOOP)
        engine.fail_after = 2
        try:
            read(engine, *(Page(n, sheet()) for n in range(1, 4)))
        except RuntimeError as error:
            caught.append(str(error))

    in_time(work)
    assert caught == ["the engine dies"]


def test_an_error_of_the_pages_reaches_the_caller() -> None:
    def pages() -> Iterator[tuple[int, Page]]:
        yield 1, Page(1, sheet())
        raise UnavailableError(ErrorCode.DATABASE_UNAVAILABLE, "gone")

    reader = Reader(lambda: ScriptedEngine(lambda _: GOOD), "free", "small")
    with pytest.raises(UnavailableError):
        list(reader.read(pages()))


def test_pages_that_cannot_be_rendered_again_end_and_others_go_on() -> None:
    def gone() -> Image.Image:
        raise DocumentError(ErrorCode.UNREADABLE, "gone")

    def again() -> Image.Image:
        return sheet()

    renders = {1: gone, 2: again, 3: gone, 4: again}
    pages = [(number, Page(number, sheet(), render_again=each)) for number, each in renders.items()]
    engine = ScriptedEngine(lambda request: GOOD if request.no_repeat_ngram else LOOP)
    reader = Reader(lambda: engine, "free", "small", steps=parse_retry_with("no_repeat_ngram"))
    statuses = {number: page.status for number, page in reader.read(pages)}
    assert statuses == {
        1: PageStatus.FAILED,
        2: PageStatus.RECOVERED,
        3: PageStatus.FAILED,
        4: PageStatus.RECOVERED,
    }


def test_a_single_page_that_cannot_be_rendered_again_ends() -> None:
    def gone() -> Image.Image:
        raise DocumentError(ErrorCode.UNREADABLE, "gone")

    engine = ScriptedEngine(lambda _: LOOP)
    reader = Reader(lambda: engine, "free", "small", steps=parse_retry_with("slices_2"))
    ((_, page),) = reader.read([(1, Page(1, sheet(), render_again=gone))])
    assert [each.error_code for each in page.attempts] == [None, "unreadable"]
