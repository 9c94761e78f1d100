"""Work of several threads whose results come in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_ItemT = TypeVar("_ItemT")
_ResultT = TypeVar("_ResultT")


def in_order(
    work: Callable[[_ItemT], _ResultT], items: Iterable[_ItemT], threads: int
) -> Iterator[_ResultT]:
    """Yield the result of each item, in the order of the items.

    Twice as many items as threads are in work or wait to be taken, at most.

    :param work: called in the threads; its error ends the iteration.
    :param items: taken in the caller's thread.
    :param threads: number of threads, at least one.
    """
    waiting: deque[Future[_ResultT]] = deque()
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="in-order") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
