"""A queue from which all callers are served alike, however much each has put into it."""

from __future__ import annotations

import heapq
from itertools import count
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Start-time fair queueing (Goyal, Vin and Cheng, 1996): each caller's share is counted in tokens.

    An item begins, in virtual time, when the caller's last one ends, or now if that is past; the one that
    begins first is next. A caller's items keep their order. Not safe for threads by itself.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Item]] = []
        self._ends: dict[str, float] = {}
        self._now = 0.0
        self._order = count()

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, item: Item, caller: str, tokens: int) -> None:
        """Add an item.

        :param item: whatever waits.
        :param caller: whose it is.
        :param tokens: what it costs.
        """
        begin = max(self._now, self._ends.get(caller, 0.0))
        self._ends[caller] = begin + tokens
        heapq.heappush(self._heap, (begin, next(self._order), item))

    def get(self) -> Item:
        """The next item.

        :raises IndexError: there is none.
        """
        self._now, _, item = heapq.heappop(self._heap)
        self._ends = {caller: end for caller, end in self._ends.items() if end > self._now}
        return item
