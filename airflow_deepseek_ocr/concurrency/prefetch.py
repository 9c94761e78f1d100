"""An iterator whose items are fetched and processed in threads, ahead of the consumer."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar, runtime_checkable

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Seconds after which a thread that waits for room in the queue checks whether it should stop.
_POLL_S = 0.2


@runtime_checkable
class Stoppable(Protocol):
    """A source that waits for items without end until it is stopped."""

    def stop(self) -> None:
        """End the waiting; called from another thread."""
        ...


def stop_of(source: object) -> Callable[[], None] | None:
    """Return the method that stops ``source``; None if it is not :class:`Stoppable`."""
    return source.stop if isinstance(source, Stoppable) else None


class _End:
    """The marker after the last item, with the error that ended the source, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Prefetcher(Generic[Item, Result]):
    """Fetches items and works on them while the consumer does something else.

    Use it as a context manager. Leaving it stops the threads; the source is not closed.

    :param source: iterated in one thread, at most ``bound`` items ahead.
    :param work: applied to each item in other threads. Its errors reach the consumer like errors of the
        source.
    :param bound: number of results that may wait.
    :param workers: number of items that are worked on at once.
    :param on_ready: called in another thread whenever :meth:`take` may return something new.
    :param stop: called when the context is left, from its thread: ends a source that waits for items.
    """

    def __init__(
        self,
        source: Iterable[Item],
        work: Callable[[Item], Result],
        *,
        bound: int,
        workers: int = 1,
        on_ready: Callable[[], None] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self._source, self._work, self._workers = source, work, workers
        self._on_ready, self._stop_source = on_ready, stop
        self._results: queue.Queue[Future[Result] | _End] = queue.Queue(max(1, bound))
        self._next: Future[Result] | _End | None = None
        self._stopped = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        if self._stop_source is not None:
            self._stop_source()
        if not sys.is_finalizing():  # daemon threads do not run any more then
            self._thread.join()

    def take(self, *, wait: bool) -> Result | None:
        """Return the next result, or None if none is ready or none is left.

        :param wait: block until a result is ready or the source has ended.
        :raises Exception: the error of the source or of the work, after the results before it.
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
        with ThreadPoolExecutor(self._workers, "prefetch") as pool:
            try:
                for item in self._source:
                    if not self._put(pool.submit(self._work, item)):
                        pool.shutdown(wait=False, cancel_futures=True)
                        return
            except BaseException as error:
                end = _End(error)
            self._put(end)

    def _put(self, result: Future[Result] | _End) -> bool:
        """Wait for room in the queue; return False if the context was left meanwhile."""
        while not self._stopped.is_set():
            try:
                self._results.put(result, timeout=_POLL_S)
            except queue.Full:
                continue
            if isinstance(result, Future):
                result.add_done_callback(lambda _: self._notify())
            else:
                self._notify()
            return True
        return False

    def _notify(self) -> None:
        if self._on_ready is not None:
            self._on_ready()
