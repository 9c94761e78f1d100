"""The stream of pages: order, overtaking, failures, and what waits for the engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import NO_ATTACHMENTS
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool, SharedDocument
from airflow_deepseek_ocr.pipeline.documents_ahead import DocumentsAhead
from airflow_deepseek_ocr.pipeline.in_flight import FetchedDocument, InFlightDocument
from airflow_deepseek_ocr.pipeline.page_stream import OpenedDocument, PageStream
from airflow_deepseek_ocr.store.leases import Lease

BROKEN = DocumentError(ErrorCode.DAMAGED_PAGE, "broken")
SMALL, LARGE = (10, 10), (8000, 9000)


class Pages(Document):
    """A document of as many pages as its path says, such as ``3`` or ``3-2`` with a broken page 2."""

    media_type = "application/pdf"

    def __init__(self, path: Path, size: tuple[int, int] = SMALL) -> None:
        count, _, broken = path.name.partition("-")
        if count == "damaged":
            raise DocumentError(ErrorCode.DAMAGED, "damaged")
        self.page_count, self._broken, self._size = int(count), broken, size
        self.page_numbers = tuple(range(1, self.page_count + 1))
        self.dynamic_form, self.attachments = False, NO_ATTACHMENTS

    def page(self, number: int) -> Page:
        if str(number) == self._broken:
            raise BROKEN
        return Page(number, Image.new("1", self._size))

    def close(self) -> None: ...


class Pool:
    """Does the work at once, or when the test says so."""

    def __init__(self, processes: int = 2, *, at_once: bool = True) -> None:
        self.processes, self._at_once, self.size = processes, at_once, SMALL
        self.waiting: list[tuple[str, Callable[[], None]]] = []
        self.asked = 0

    def submit(
        self, document: SharedDocument, work: Callable[[Document], Any], done: Callable[[], None]
    ) -> Future[Any]:
        future: Future[Any] = Future()
        future.add_done_callback(lambda _: done())
        self.asked += 1

        def finish() -> None:
            try:
                future.set_result(work(Pages(document.path, self.size)))
            except DeepSeekOCRError as error:
                future.set_exception(error)

        if self._at_once:
            finish()
        else:
            self.waiting.append((document.path.parent.name, finish))
        return future

    def render_again(self, document: SharedDocument, number: int) -> Image.Image:
        return Pages(document.path).page(number).image


class Fetched:
    """Documents that are all fetched."""

    def __init__(self, *paths: str, final: frozenset[int] = frozenset()) -> None:
        self._left = deque(
            FetchedDocument(DocumentRef(f"file:///{path}"), Path(path), Lease(number, "t", final))
            for number, path in enumerate(paths)
        )

    def take(self) -> FetchedDocument | None:
        return self._left.popleft() if self._left else None

    @property
    def is_over(self) -> bool:
        return not self._left


class Events:
    """Notes what the stream tells."""

    def __init__(self) -> None:
        self.log: list[tuple[str, ...]] = []
        self.unwanted: set[str] = set()

    def opened(
        self, fetched: FetchedDocument, source: SharedDocument, opened: OpenedDocument
    ) -> InFlightDocument:
        self.log.append(("opened", str(fetched.path), str(len(opened.missing))))
        assert fetched.lease is not None
        return InFlightDocument(
            ref=fetched.ref,
            lease=fetched.lease,
            media_type=opened.media_type,
            page_count=opened.page_count,
            page_numbers=opened.page_numbers,
            missing=set(opened.missing),
            source=source,
        )

    def failed(self, fetched: FetchedDocument, error: DeepSeekOCRError) -> None:
        self.log.append(("failed", str(fetched.path), error.code.value))

    def page_failed(self, document: InFlightDocument, number: int, error: DeepSeekOCRError) -> None:
        self.log.append(("page_failed", document.ref.uri[8:], str(number)))

    def rendered(self, document: InFlightDocument, page: Page) -> None: ...

    def is_wanted(self, document: InFlightDocument) -> bool:
        return document.ref.uri[8:] not in self.unwanted


def stream(pool: Pool, events: Events) -> PageStream:
    return PageStream(OpenRequest(PageSelection(), 72), cast("RenderPool", pool), events)


def read(pool: Pool, events: Events, documents: Fetched) -> list[tuple[str, int]]:
    pages = stream(pool, events).pages(cast("DocumentsAhead", documents))
    return [(document.ref.uri[8:], page.number) for document, page in pages]


def test_all_pages_of_all_documents_come_in_order() -> None:
    events = Events()
    found = read(Pool(), events, Fetched("a/3", "b/1", "c/2"))
    assert sorted(found) == [("a/3", 1), ("a/3", 2), ("a/3", 3), ("b/1", 1), ("c/2", 1), ("c/2", 2)]
    assert [number for path, number in found if path == "a/3"] == [1, 2, 3]
    assert [entry[1] for entry in events.log] == ["a/3", "b/1", "c/2"]


def test_no_documents_are_no_pages() -> None:
    assert read(Pool(), Events(), Fetched()) == []


def test_stored_pages_are_not_rendered() -> None:
    events, pool = Events(), Pool()
    assert read(pool, events, Fetched("a/3", final=frozenset({1, 3}))) == [("a/3", 2)]
    assert pool.asked == 1
    assert read(pool, events, Fetched("a/3", final=frozenset({1, 2, 3}))) == []
    assert events.log == [("opened", "a/3", "1"), ("opened", "a/3", "0")]


@pytest.mark.parametrize(("broken", "left"), [("1", [2, 3]), ("2", [1, 3]), ("3", [1, 2])])
def test_a_broken_page_fails_alone(broken: str, left: list[int]) -> None:
    events, path = Events(), f"a/3-{broken}"
    assert read(Pool(), events, Fetched(path)) == [(path, number) for number in left]
    assert ("page_failed", path, broken) in events.log


def test_a_damaged_document_fails_alone() -> None:
    events = Events()
    assert read(Pool(), events, Fetched("a/damaged", "b/1")) == [("b/1", 1)]
    assert events.log == [("failed", "a/damaged", "damaged"), ("opened", "b/1", "1")]


def test_pages_of_other_documents_overtake_a_slow_one() -> None:
    pool, events = Pool(at_once=False), Events()
    pages = stream(pool, events)
    taken = pages.pages(cast("DocumentsAhead", Fetched("a/2", "b/1")))
    pages._ask_for_more(cast("DocumentsAhead", documents := Fetched("a/2", "b/1")))
    assert documents.is_over
    assert [name for name, _ in pool.waiting] == ["a", "b"]
    pool.waiting.pop()[1]()
    document, page = next(taken)
    assert (document.ref.uri, page.number) == ("file:///b/1", 1)
    taken.close()


def test_pages_wait_for_the_engine_within_bounds() -> None:
    pool = Pool(processes=2)
    taken = stream(pool, Events()).pages(cast("DocumentsAhead", Fetched("a/50")))
    next(taken)
    assert pool.asked == 1
    next(taken)
    assert pool.asked <= 1 + 4
    taken.close()


def test_large_pages_wait_one_at_a_time() -> None:
    pool = Pool(processes=8)
    pool.size = LARGE
    taken = stream(pool, Events()).pages(cast("DocumentsAhead", Fetched(*["a/1"] * 20)))
    next(taken)
    assert pool.asked == 1
    taken.close()


def test_documents_that_were_lost_are_left_out() -> None:
    events = Events()
    pages = stream(Pool(processes=1), events).pages(cast("DocumentsAhead", Fetched("a/9", "b/1")))
    assert next(pages)[1].number == 1
    events.unwanted.add("a/9")
    assert [document.ref.uri for document, _ in pages] == ["file:///b/1"]


def test_a_page_can_be_rendered_again() -> None:
    pages = stream(Pool(), Events()).pages(cast("DocumentsAhead", Fetched("a/2")))
    for _, page in pages:
        assert page.render_again is not None
        assert page.render_again().tobytes() == page.image.tobytes()


def test_unopened_documents_are_known() -> None:
    pool = Pool(at_once=False)
    pages = stream(pool, Events())
    pages._ask_for_more(cast("DocumentsAhead", Fetched("a/1", "b/1")))
    assert [each.ref.uri for each in pages.unopened] == ["file:///a/1", "file:///b/1"]
