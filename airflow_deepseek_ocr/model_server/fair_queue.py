"""A queue from which all callers are served alike, however much each has put into it."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Start-time fair queueing (Goyal, Vin and Cheng, 1996): each caller's share is counted in tokens.

    A caller's next item begins, in virtual time, when its last one ends, or now if that is past; the one
    that begins first is next. A caller's items keep their order, and only those that are taken count. Not
    safe for threads by itself.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[Item, int]]] = {}
        self._begins: dict[str, float] = {}
        self._now = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, item: Item, caller: str, tokens: int) -> None:
        """Add an item.

        :param item: whatever waits.
        :param caller: whose it is.
        :param tokens: what it costs.
        """
        if caller not in self._waiting:
            self._begins[caller] = max(self._now, self._begins.get(caller, 0.0))
        self._waiting.setdefault(caller, deque()).append((item, tokens))

    def get(self) -> Item:
        """The next item.

        :raises ValueError: there is none.
        """
        caller = min(self._waiting, key=self._begins.__getitem__)
        item, tokens = self._waiting[caller].popleft()
        self._now = self._begins[caller]
        self._begins[caller] += tokens
        self._drop_if_empty(caller)
        self._begins = {
            who: begin
            for who, begin in self._begins.items()
            if who in self._waiting or begin > self._now
        }
        return item

    def remove(self, item: Item, caller: str) -> None:
        """Take an item out that nobody waits for any more, if it is still here.

        :param item: what was put, compared by identity.
        :param caller: whose it is.
        """
        queue = self._waiting.get(caller, deque())
        for number, (each, _) in enumerate(queue):
            if each is item:
                del queue[number]
                self._drop_if_empty(caller)
                return

    def _drop_if_empty(self, caller: str) -> None:
        if not self._waiting[caller]:
            del self._waiting[caller]
