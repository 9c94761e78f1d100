"""Documents that are claimed and fetched in threads while others are rendered.

The requests of small documents to storage and database overlap, so that their latency is not the pace.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.document_copies import DocumentCopies
from airflow_deepseek_ocr.pipeline.document_queue import DocumentQueue
from airflow_deepseek_ocr.pipeline.in_flight import FetchedDocument

#: Documents that are being fetched or wait to be opened, at most. With 40 ms to claim and fetch a document,
#: eight are 200 documents per second. Another task that has the same documents waits for those claimed here.
AHEAD = 8


class DocumentsAhead:
    """Fetches the documents of a queue, a few ahead of the caller.

    :param queue: gives the documents.
    :param fetch: claims and fetches a document; returns whether it is to be processed. It stores errors of
        the document itself; other errors end the fetching, and :meth:`take` raises them.
    :param copies: gives the paths.
    :param on_ready: called in another thread whenever :meth:`take` may return something new.
    """

    def __init__(
        self,
        queue: DocumentQueue,
        fetch: Callable[[FetchedDocument], bool],
        copies: DocumentCopies,
        on_ready: Callable[[], None],
    ) -> None:
        self._queue, self._fetch, self._copies, self._on_ready = queue, fetch, copies, on_ready
        self._changed = threading.Condition()
        self._ready: deque[FetchedDocument] = deque()
        self._fetching, self._closed = 0, False
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def take(self) -> FetchedDocument | None:
        """Return a document that is fetched; None if none is, or none is left.

        :raises Exception: the error of a fetch.
        """
        self._start_threads()
        with self._changed:
            if self._error is not None:
                raise self._error
            document = self._ready.popleft() if self._ready else None
            self._changed.notify_all()
        return document

    @property
    def is_over(self) -> bool:
        """Whether all documents of the queue were taken."""
        with self._changed:
            return not (self._ready or self._fetching or self._queue.waiting_count or self._error)

    def room_changed(self) -> None:
        """Check again whether there is room for further copies."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> list[FetchedDocument]:
        """End the fetching, and wait for fetches in progress.

        :return: the documents that were not taken.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        return list(self._ready)

    def _start_threads(self) -> None:
        wanted = min(AHEAD, self._queue.waiting_count)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for _ in range(wanted - len(self._threads)):
            thread = threading.Thread(target=self._work, name="fetch", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (document := self._next()) is not None:
            is_ready, error = False, None
            try:
                is_ready = self._fetch(document)
                if is_ready:
                    self._copies.measure(document.path)
            except BaseException as raised:
                error = raised
            if not is_ready:
                self._copies.remove(document.path)
            with self._changed:
                self._fetching -= 1
                if is_ready and error is None:
                    self._ready.append(document)
                self._error = self._error or error
                self._changed.notify_all()
            self._on_ready()

    def _next(self) -> FetchedDocument | None:
        """Wait for room, and return the next document; None if none is left now."""
        with self._changed:
            while not self._closed and self._error is None:
                ref = self._queue.pop()
                if ref is None:
                    return None
                path = self._room_for(ref)
                if path is not None:
                    self._fetching += 1
                    return FetchedDocument(ref, path)
                self._queue.push_back(ref)
                self._changed.wait()
        return None

    def _room_for(self, ref: DocumentRef) -> Path | None:
        if self._fetching + len(self._ready) >= AHEAD:
            return None
        return self._copies.reserve(ref)
