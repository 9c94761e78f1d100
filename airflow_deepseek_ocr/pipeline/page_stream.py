"""The stream of rendered pages: documents are opened and pages rendered ahead of the engine.

Pages of one document come in order. Pages of several documents may overtake each other, so that one slow page
delays only its document.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeAlias

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.reference import MAX_DEPTH
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile, Attachments
from airflow_deepseek_ocr.ocr.page_pixels import memory_bytes
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool, SharedDocument
from airflow_deepseek_ocr.pipeline.documents_ahead import DocumentsAhead
from airflow_deepseek_ocr.pipeline.in_flight import FetchedDocument, InFlightDocument

#: Rendered pages that wait for the engine, in pages for each rendering process, and in bytes of all. One more
#: page for each process may be in work: with eight processes and pages of 40 million pixels, 1.2 GB in all.
_PAGES_PER_PROCESS, _MOST_BYTES = 2, 256 << 20


@dataclass(frozen=True)
class OpenedDocument:
    """Facts about a document that is open, and its first page.

    :param media_type: its type, detected from its content.
    :param page_count: number of its pages.
    :param page_numbers: the pages selected.
    :param missing: those of them that are not stored yet.
    :param dynamic_form: see :class:`Document`.
    :param attachments: see :class:`Document`.
    :param first: the first of them as an image, or why there is none; None without a missing page.
    :param attached: see :class:`Document`.
    """

    media_type: str
    page_count: int
    page_numbers: tuple[int, ...]
    missing: tuple[int, ...]
    dynamic_form: bool
    attachments: Attachments
    first: Page | DeepSeekOCRError | None
    attached: tuple[AttachedFile, ...] = ()


_Rendering: TypeAlias = Future[Page] | Future[OpenedDocument]


class DocumentEvents(Protocol):
    """What the stream tells about documents, in the thread that takes pages."""

    def opened(
        self, fetched: FetchedDocument, source: SharedDocument, opened: OpenedDocument
    ) -> InFlightDocument:
        """Note a document whose pages follow."""
        ...

    def failed(self, fetched: FetchedDocument, error: DeepSeekOCRError) -> None:
        """Note a document that cannot be opened."""
        ...

    def page_failed(self, document: InFlightDocument, number: int, error: DeepSeekOCRError) -> None:
        """Note a page that cannot be rendered."""
        ...

    def rendered(self, document: InFlightDocument, page: Page) -> None:
        """Note a page that is about to be processed."""
        ...

    def is_wanted(self, document: InFlightDocument) -> bool:
        """Return whether pages of the document are still to be processed."""
        ...


@dataclass(eq=False)
class _Pages:
    """The pages of one document.

    :ivar document: None until it is open.
    :ivar missing: numbers of pages that no process has been asked for.
    :ivar asked: pages that are being rendered or are rendered, in order.
    """

    fetched: FetchedDocument
    source: SharedDocument
    opening: Future[OpenedDocument]
    document: InFlightDocument | None = None
    missing: deque[int] = field(default_factory=deque)
    asked: deque[tuple[int, Future[Page]]] = field(default_factory=deque)

    @property
    def is_over(self) -> bool:
        return self.document is not None and not self.missing and not self.asked

    @property
    def is_ready(self) -> bool:
        if self.document is None:
            return self.opening.done()
        return bool(self.asked) and self.asked[0][1].done()

    def drop(self) -> None:
        """Cancel pages that are not wanted any more."""
        self.missing.clear()
        for _, future in self.asked:
            future.cancel()
        self.asked.clear()


class PageStream:
    """Renders the pages of fetched documents.

    One thread at a time takes pages.

    :param request: the pages to read, and the measures to take of them.
    :param pool: renders them.
    :param events: hears about documents.
    """

    def __init__(self, request: OpenRequest, pool: RenderPool, events: DocumentEvents) -> None:
        self._request, self._pool, self._events = request, pool, events
        self._streams: list[_Pages] = []
        self._changed = threading.Event()

    def wake(self) -> None:
        """Let the stream check for fetched documents and rendered pages; any thread may call it."""
        self._changed.set()

    @property
    def unopened(self) -> list[FetchedDocument]:
        """The documents that were taken, and not opened."""
        return [stream.fetched for stream in self._streams if stream.document is None]

    def pages(
        self, documents: DocumentsAhead
    ) -> Generator[tuple[InFlightDocument, Page], None, None]:
        """Yield pages until all documents are rendered.

        :raises Exception: the error of a fetch, or a defect of this package in another thread.
        """
        while True:
            self._changed.clear()
            self._ask_for_more(documents)
            self._streams = [stream for stream in self._streams if not stream.is_over]
            ready = next((stream for stream in self._streams if stream.is_ready), None)
            if ready is not None:
                rendered = self._take(ready)
                if rendered is not None:
                    # The consumer has the only reference, so that the image can be freed.
                    pair = [rendered]
                    del rendered
                    yield pair.pop()
            elif not self._streams and documents.is_over:
                return
            else:
                self._changed.wait()

    def _ask_for_more(self, documents: DocumentsAhead) -> None:
        while self._has_room():
            stream = next((each for each in self._streams if each.missing), None)
            if stream is not None:
                self._ask_for_page(stream)
                continue
            fetched = documents.take()
            if fetched is None:
                return
            source = SharedDocument(fetched.path, self._request_for(fetched))
            final = fetched.lease.final_pages if fetched.lease else frozenset()
            opening = self._pool.submit(source, partial(_open, final=final), self.wake)
            self._streams.append(_Pages(fetched, source, opening))

    def _request_for(self, fetched: FetchedDocument) -> OpenRequest:
        reads = self._request.attachments and fetched.ref.depth < MAX_DEPTH
        return replace(self._request, attachments=reads)

    def _has_room(self) -> bool:
        futures: list[_Rendering] = []
        for stream in self._streams:
            futures += [stream.opening] if stream.document is None else []
            futures += [future for _, future in stream.asked]
        size = sum(map(_bytes_of, futures))
        return len(futures) < _PAGES_PER_PROCESS * self._pool.processes and size < _MOST_BYTES

    def _ask_for_page(self, stream: _Pages) -> None:
        if stream.document is None or not self._events.is_wanted(stream.document):
            stream.drop()
            return
        number = stream.missing.popleft()
        future = self._pool.submit(stream.source, lambda opened: opened.page(number), self.wake)
        stream.asked.append((number, future))

    def _take(self, stream: _Pages) -> tuple[InFlightDocument, Page] | None:
        """Return the next page of a stream that is ready; None if it has failed or is not wanted."""
        document = stream.document
        if document is None:
            return self._begin(stream)
        number, future = stream.asked.popleft()
        if not self._events.is_wanted(document):
            stream.drop()
            return None
        try:
            return self._finished(document, stream, future.result())
        except DeepSeekOCRError as error:
            self._events.page_failed(document, number, error)
            return None

    def _begin(self, stream: _Pages) -> tuple[InFlightDocument, Page] | None:
        """Note that a document is open, and return its first page."""
        try:
            opened = stream.opening.result()
        except DeepSeekOCRError as error:
            self._streams.remove(stream)
            self._events.failed(stream.fetched, error)
            return None
        stream.opening = Future()  # the old one has the image
        document = self._events.opened(stream.fetched, stream.source, opened)
        stream.document, first = document, opened.first
        stream.missing.extend(opened.missing[1:])
        if isinstance(first, DeepSeekOCRError):
            self._events.page_failed(document, opened.missing[0], first)
            return None
        return None if first is None else self._finished(document, stream, first)

    def _finished(
        self, document: InFlightDocument, stream: _Pages, page: Page
    ) -> tuple[InFlightDocument, Page]:
        self._events.rendered(document, page)
        again = partial(self._pool.render_again, stream.source, page.number)
        return document, replace(page, render_again=again)


def _bytes_of(future: _Rendering) -> int:
    if not future.done() or future.cancelled() or future.exception() is not None:
        return 0
    result = future.result()
    page = result.first if isinstance(result, OpenedDocument) else result
    return memory_bytes(page.pixels) if isinstance(page, Page) else 0


def _open(opened: Document, final: frozenset[int]) -> OpenedDocument:
    """Return an open document with its first page: a short document needs only one process."""
    numbers = tuple(opened.page_numbers)
    missing = tuple(number for number in numbers if number not in final)
    # Before a page adds its own.
    attachments = opened.attachments
    first: Page | DeepSeekOCRError | None = None
    try:
        first = opened.page(missing[0]) if missing else None
    except DeepSeekOCRError as error:
        first = error
    return OpenedDocument(
        opened.media_type,
        opened.page_count,
        numbers,
        missing,
        opened.dynamic_form,
        attachments,
        first,
        opened.attached,
    )
