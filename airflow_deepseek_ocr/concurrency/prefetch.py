"""An iterator that runs ahead of its consumer, in threads of its own."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Protocol, TypeVar, runtime_checkable

Item = TypeVar("Item")
Made = TypeVar("Made")

_POLL_S = 0.2


@runtime_checkable
class Stoppable(Protocol):
    """A source that waits for items without end, and can be told that nobody will draw more."""

    def stop(self) -> None:
        """End the waiting; called from another thread."""
        ...


class _End:
    """Behind the last item; with the error that ended the source, if one did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Prefetcher(Generic[Item, Made]):
    """Draws items and works on them while the consumer does something else.

    A context manager: leaving it stops the threads, which close nothing of the source's.

    :param source: drawn in one thread, never more than ``bound`` items ahead. If it is
        :class:`Stoppable`, leaving the context stops it.
    :param work: done on each item in other threads; what it raises reaches the consumer like an error
        of the source.
    :param bound: results that may wait.
    :param workers: items that are worked on at once.
    :param on_ready: called in another thread whenever :meth:`take` may have something new to give.
    """

    def __init__(
        self,
        source: Iterable[Item],
        work: Callable[[Item], Made],
        bound: int,
        workers: int = 1,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        self._source, self._work, self._workers = source, work, workers
        self._on_ready = on_ready or (lambda: None)
        self._results: queue.Queue[Future[Made] | _End] = queue.Queue(max(1, bound))
        self._next: Future[Made] | _End | None = None
        self._stop = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="pages-ahead", daemon=True)

    def __enter__(self) -> Prefetcher[Item, Made]:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        # A range has a number of that name.
        if isinstance(self._source, Stoppable) and callable(self._source.stop):
            self._source.stop()
        if not sys.is_finalizing():  # its daemon thread does not run any more
            self._thread.join()

    def take(self, *, wait: bool) -> Made | None:
        """The next result; None if there is none yet, or there will be none any more.

        :param wait: until there is one, or it is clear that there will be none.
        :raises Exception: what the source or the work raised, after the results before it.
        """
        if self._over:
            return None
        if self._next is None:
            try:
                self._next = self._results.get(block=wait)
            except queue.Empty:
                return None
        if isinstance(self._next, Future) and not (wait or self._next.done()):
            return None
        result, self._next = self._next, None
        if isinstance(result, Future):
            self._over = result.exception() is not None
            return result.result()
        self._over = True
        if result.error is not None:
            raise result.error
        return None

    @property
    def over(self) -> bool:
        """Whether the source has ended and its last result was taken."""
        return self._over

    def _run(self) -> None:
        end = _End(None)
        with ThreadPoolExecutor(self._workers, "pages-ahead") as pool:
            try:
                for item in self._source:
                    if not self._put(pool.submit(self._work, item)):
                        pool.shutdown(wait=False, cancel_futures=True)
                        return
            except BaseException as error:
                end = _End(error)
            self._put(end)

    def _put(self, result: Future[Made] | _End) -> bool:
        while not self._stop.is_set():
            try:
                self._results.put(result, timeout=_POLL_S)
            except queue.Full:
                continue
            if isinstance(result, Future):
                result.add_done_callback(lambda _: self._on_ready())
            else:
                self._on_ready()
            return True
        return False
