"""Calls of several threads that are made as one, such as transactions of a database."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class SharedCalls(Generic[Item, Result]):
    """Lets threads share calls of a function.

    The first item waits a moment for others, and a call takes all that have come.

    :param function: returns the result of each item, in order. Its error is that of all its items.
    :param key_of: items of equal keys do not share a call.
    :param most: items of a call. So many do not wait for more.
    :param gather_s: seconds for which an item waits for others.
    """

    def __init__(
        self,
        function: Callable[[Sequence[Item]], Sequence[Result]],
        key_of: Callable[[Item], Hashable],
        most: int,
        gather_s: float,
    ) -> None:
        self._function, self._key_of = function, key_of
        self._most, self._gather_s = most, gather_s
        self._changed, self._is_calling = threading.Condition(), False
        self._waiting: deque[tuple[Item, Future[Result]]] = deque()

    def call(self, item: Item) -> Result:
        """Return the result of an item.

        :raises Exception: the error of the function.
        """
        mine: Future[Result] = Future()
        makes_calls = False
        try:
            with self._changed:
                self._waiting.append((item, mine))
                self._changed.notify_all()
                # One thread makes the calls. A thread whose result is there does not wait for the next call.
                self._changed.wait_for(lambda: mine.done() or not self._is_calling)
                if not mine.done():
                    makes_calls = self._is_calling = True
                    self._changed.wait_for(self._is_full, self._gather_s)
            while not mine.done():
                self._make_call()
        finally:
            if makes_calls:
                with self._changed:
                    self._is_calling = False
                    self._changed.notify_all()
        return mine.result()

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._most

    def _make_call(self) -> None:
        together: dict[Hashable, tuple[Item, Future[Result]]] = {}
        try:
            with self._changed:
                while self._waiting and len(together) < self._most:
                    key = self._key_of(self._waiting[0][0])
                    if key in together:
                        break
                    together[key] = self._waiting.popleft()
            results = self._function([item for item, _ in together.values()])
            for (_, future), result in zip(together.values(), results, strict=True):
                future.set_result(result)
        except BaseException as error:
            # A signal may end this thread anywhere here; the others must not wait for it.
            for _, future in together.values():
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            with self._changed:
                self._changed.notify_all()
