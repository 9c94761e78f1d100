"""Which replica has which page: a page is taken, finished, or given back by a replica that failed."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher
from airflow_deepseek_ocr.engines.balancing.page_cost import PageCost
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.family import ModelFamily

#: Replicas that may fail while they have a page, before the page is given up: it may be the reason.
MAX_FAILURES = 3
#: Seconds after which a waiting replica checks again. All changes wake it; this bounds a missed one.
_POLL_S = 0.5


@dataclass
class _Page:
    """A page, its expected tokens, and the replicas that failed while they had it."""

    request: PageRequest
    cost: float
    failed: list[int] = field(default_factory=list)
    #: Replaced at each taking, so that a replica's late check concerns its own turn.
    revoked: threading.Event = field(default_factory=threading.Event)


class PageDispatcher:
    """Pages of one call of ``read``, shared by replicas with numbers from 0.

    A replica takes a page when it has room. If several wait, the one with the fewest outstanding tokens is
    served first.

    :param requests: the pages, fetched by a separate thread.
    :param replicas: number of replicas; all of them serve at first.
    :param outputs: receives an output for each page; the last one arrives before :attr:`over` is true.
    :param family: the replicas' model family, by which pages are estimated.
    """

    def __init__(
        self,
        requests: Prefetcher[PageRequest, PageRequest],
        replicas: int,
        outputs: queue.SimpleQueue[Any],
        family: ModelFamily,
    ) -> None:
        self._requests, self._outputs = requests, outputs
        self._cost = PageCost(family)
        self._changed = threading.Condition()
        self._taken: list[dict[Hashable, _Page]] = [{} for _ in range(replicas)]
        self._returned: deque[_Page] = deque()
        self._next: _Page | None = None
        self._waiting: set[int] = set()
        self._serving = set(range(replicas))
        self._stopped = False
        self._error: BaseException | None = None

    def wake(self) -> None:
        """Let waiting replicas check again; called from any thread."""
        with self._changed:
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        """Whether no page is left, or :meth:`stop` was called."""
        with self._changed:
            return self._is_over()

    @property
    def error(self) -> BaseException | None:
        """The error that ended the pages, if any."""
        return self._error

    @property
    def serving(self) -> frozenset[int]:
        """The replicas that are given pages."""
        with self._changed:
            return frozenset(self._serving)

    def outstanding(self, replica: int) -> int:
        """Return the number of pages that a replica has."""
        with self._changed:
            return len(self._taken[replica])

    def take(self, replica: int) -> PageRequest | None:
        """Wait for a page; return None if none is left, or if the replica was ejected.

        :param replica: the replica that has room for a page.
        """
        with self._changed:
            self._waiting.add(replica)
            try:
                while replica in self._serving and not self._is_over():
                    page = self._page_for(replica)
                    if page is not None:
                        self._taken[replica][page.request.key] = page
                        return _revocable(page)
                    self._changed.wait(_POLL_S)
                return None
            finally:
                self._waiting.discard(replica)
                self._changed.notify_all()

    def finish(self, replica: int, output: PageOutput) -> bool:
        """Pass an output on; drop it and return False if the replica does not have the page any more.

        :param replica: the replica that read the page.
        :param output: its output.
        """
        with self._changed:
            if self._taken[replica].pop(output.key, None) is None:
                return False
            self._outputs.put(output)
            self._cost.learn(output)
            self._changed.notify_all()
            return True

    def withhold(self, replica: int) -> None:
        """Give a replica no further pages; it keeps those that it has."""
        with self._changed:
            self._serving.discard(replica)
            self._changed.notify_all()

    def eject(self, replica: int, error: DeepSeekOCRError) -> None:
        """Give a replica no pages until it is restored, and give its pages to the others.

        :param replica: the replica that failed.
        :param error: what failed; also the error of pages that are given up.
        """
        with self._changed:
            self._serving.discard(replica)
            pages, self._taken[replica] = self._taken[replica], {}
            for page in pages.values():
                page.revoked.set()
                page.failed.append(replica)
                if len(page.failed) >= MAX_FAILURES:
                    self._outputs.put(PageOutput(key=page.request.key, error=error))
                else:
                    self._returned.append(page)
            self._changed.notify_all()

    def restore(self, replica: int) -> None:
        """Give an ejected replica pages again."""
        with self._changed:
            self._serving.add(replica)
            self._changed.notify_all()

    def stop(self) -> None:
        """Cancel all pages, and let all replicas end."""
        with self._changed:
            self._stopped = True
            for pages in self._taken:
                for page in pages.values():
                    page.revoked.set()
            self._changed.notify_all()

    def _is_over(self) -> bool:
        if self._stopped or self._error is not None:
            return True
        self._fetch()
        return self._error is not None or (
            self._requests.over
            and self._next is None
            and not self._returned
            and not any(self._taken)
        )

    def _fetch(self) -> None:
        if self._next is not None:
            return
        try:
            request = self._requests.take(wait=False)
        except BaseException as error:
            self._error = error
            self._changed.notify_all()
            return
        if request is not None:
            self._next = _Page(request, self._cost.of(request))
            self._changed.notify_all()

    def _page_for(self, replica: int) -> _Page | None:
        """Return the page that this replica takes now, if it is its turn."""
        for page in self._returned:
            willing = self._serving - set(page.failed) or self._serving
            if replica in willing and self._is_least_loaded(replica, willing):
                self._returned.remove(page)
                return page
        if self._next is not None and self._is_least_loaded(replica, self._serving):
            page, self._next = self._next, None
            return page
        return None

    def _is_least_loaded(self, replica: int, candidates: set[int]) -> bool:
        def load(each: int) -> tuple[float, int]:
            return sum(page.cost for page in self._taken[each].values()), each

        return load(replica) == min(load(each) for each in self._waiting & candidates)


def _revocable(page: _Page) -> PageRequest:
    """Return the request with a separate cancellation for this turn."""
    page.revoked = revoked = threading.Event()
    cancelled: Callable[[], bool] = page.request.cancelled
    return replace(page.request, cancelled=lambda: revoked.is_set() or cancelled())
