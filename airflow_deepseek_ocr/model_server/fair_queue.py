"""A queue that serves all clients alike, however much each has put into it."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Start-time fair queueing (Goyal, Vin and Cheng, 1996): each client's share is counted in tokens.

    A client's next item starts, in virtual time, when its last one ends, or now if that has passed. The item
    with the earliest start is next. A client's items keep their order, and items that are removed cost
    nothing. Not thread-safe.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[tuple[Item, int]]] = {}
        self._starts: dict[str, float] = {}
        self._now = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def put(self, item: Item, client: str, tokens: int) -> None:
        """Add an item.

        :param item: any object.
        :param client: owner of the item.
        :param tokens: cost of the item.
        """
        if client not in self._queues:
            self._starts[client] = max(self._now, self._starts.get(client, 0.0))
        self._queues.setdefault(client, deque()).append((item, tokens))

    def get(self) -> Item:
        """Remove and return the next item.

        :raises ValueError: the queue is empty.
        """
        client = min(self._queues, key=self._starts.__getitem__)
        item, tokens = self._queues[client].popleft()
        self._now = self._starts[client]
        self._starts[client] += tokens
        self._drop_if_empty(client)
        self._starts = {
            name: start
            for name, start in self._starts.items()
            if name in self._queues or start > self._now
        }
        return item

    def remove(self, item: Item, client: str) -> None:
        """Remove an item, if it is still in the queue.

        :param item: the object that was put, compared by identity.
        :param client: owner of the item.
        """
        queue = self._queues.get(client, deque())
        for number, (each, _) in enumerate(queue):
            if each is item:
                del queue[number]
                self._drop_if_empty(client)
                return

    def _drop_if_empty(self, client: str) -> None:
        if not self._queues[client]:
            del self._queues[client]
