"""Pages in one stream: drawn lazily, let go, and ended whatever happens."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.recognition.compressed_image import CompressedImage
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import parse_retry_with
from airflow_deepseek_ocr.ocr.results import PageStatus
from tests.support.fakes.scripted_engine import GOOD, LOOP, ScriptedEngine, in_time, read, sheet


def test_pages_are_drawn_lazily_and_read_again_at_once() -> None:
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


def test_images_are_let_go() -> None:
    """What is kept of a page for another reading is its compressed image."""
    images: list[weakref.ref[Image.Image]] = []
    most = 0

    def pages() -> Iterator[tuple[int, Page]]:
        nonlocal most
        for number in range(1, 21):
            image = sheet()
            images.append(weakref.ref(image))
            page = Page(number, image)
            del image
            yield number, page
            del page
            most = max(most, sum(each() is not None for each in images))

    engine = ScriptedEngine(lambda request: GOOD if request.no_repeat_ngram else LOOP)
    reader = Reader(lambda: engine, "free", "small", steps=parse_retry_with("no_repeat_ngram"))
    assert len(list(reader.read(pages()))) == 20
    assert most <= 10


@pytest.mark.parametrize("colour", ["white", "red"])
def test_packed_images_lose_no_pixel(colour: str) -> None:
    image = Image.new("RGB", (200, 300), colour)
    image.paste(Image.effect_noise((150, 250), 90), (20, 30))
    packed = CompressedImage.compress(image)
    assert packed.decompress().tobytes() == image.tobytes()
    assert packed.mode == ("L" if colour == "white" else "RGB")


def test_closing_while_the_requests_wait_for_a_reading() -> None:
    def work() -> None:
        engine = ScriptedEngine(lambda _: GOOD)
        reader = Reader(lambda: engine, "free", "small", steps=parse_retry_with("no_repeat_ngram"))
        results = reader.read((n, Page(n, sheet())) for n in range(1, 4))
        next(results)
        time.sleep(0.3)  # the drawing thread has drawn all and waits
        results.close()

    in_time(work)


def test_an_engine_that_dies_while_the_requests_wait_for_a_reading() -> None:
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
        raise UnavailableError("database_unavailable", "gone")

    reader = Reader(lambda: ScriptedEngine(lambda _: GOOD), "free", "small")
    with pytest.raises(UnavailableError):
        list(reader.read(pages()))
