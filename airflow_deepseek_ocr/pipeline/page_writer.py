"""A thread that stores finished pages in batches, so that the database's latency is not the pace."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from airflow_deepseek_ocr.ocr.results import PageResult
from airflow_deepseek_ocr.pipeline.in_flight import InFlightDocument

#: Seconds for which a finished page waits for others, and pages of a transaction, at most. A task that is
#: killed loses the pages of this time; its retry processes them again.
BATCH_S, BATCH_PAGES = 0.5, 64
#: Pages that wait while the database does not answer, before the engine's outputs wait.
_MOST_WAITING = 4 * BATCH_PAGES

#: A page and its document.
Finished = tuple[InFlightDocument, PageResult]


class PageWriter:
    """Collects finished pages and stores them. Use it as a context manager; leaving it stores the rest.

    :param store: stores pages; called in the writer's thread, with at least one page.
    :param batch_s: seconds for which a page waits for others.
    """

    def __init__(
        self, store: Callable[[Sequence[Finished]], None], batch_s: float = BATCH_S
    ) -> None:
        self._store, self._batch_s = store, batch_s
        self._changed = threading.Condition()
        self._waiting: deque[Finished] = deque()
        self._over = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="page-writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._thread.join()
        if kind is None:
            self._raise()

    def put(self, document: InFlightDocument, page: PageResult) -> None:
        """Add a finished page; wait while too many are waiting.

        :raises DatabaseError: an earlier page could not be stored.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _MOST_WAITING or self._error)
            self._raise()
            self._waiting.append((document, page))
            self._changed.notify_all()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while batch := self._next_batch():
            error: BaseException | None = None
            try:
                self._store(batch)
            except BaseException as raised:
                error = raised
            with self._changed:
                self._error = error
                self._changed.notify_all()
                if error is not None:
                    return

    def _next_batch(self) -> list[Finished]:
        """Wait for pages, and for others to share their transaction; return none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over)
            self._changed.wait_for(
                lambda: self._over or len(self._waiting) >= BATCH_PAGES,
                timeout=self._batch_s,
            )
            count = min(BATCH_PAGES, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            self._changed.notify_all()
            return batch
