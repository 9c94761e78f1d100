"""A bound on the bytes of all requests that are being received and are not parsed yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Reception:
    """A request that is being received.

    :param budget: the budget that its bytes count for.
    """

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        #: Bytes received.
        self.bytes = 0
        #: Whether it waits for others.
        self.waits = False

    async def take(self, size: int) -> None:
        """Count bytes of this request; wait until there is room for them.

        :param size: bytes that have arrived.
        """
        self.waits = True
        await self._budget.wait_for_room(self, size)
        self.waits = False
        self.bytes += size


class BodyBudget:
    """Bytes of the bodies of all requests, in the thread of the event loop.

    Bytes count as they arrive: a client that announces a large request and sends nothing takes no room. The
    oldest request never waits, so that requests which are half received do not wait for each other. The sum
    is at most ``max_bytes`` and one request.

    :param max_bytes: sum of the bytes from which requests wait.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._receptions: list[Reception] = []
        self._changed = asyncio.Event()

    @property
    def bytes(self) -> int:
        """Bytes received of requests that are not parsed yet."""
        return sum(each.bytes for each in self._receptions)

    @contextmanager
    def receive(self) -> Iterator[Reception]:
        """Yield the count of a request, which ends when it is parsed or refused."""
        reception = Reception(self)
        self._receptions.append(reception)
        try:
            yield reception
        finally:
            self._receptions.remove(reception)
            self._changed.set()
            self._changed = asyncio.Event()

    async def wait_for_room(self, reception: Reception, size: int) -> None:
        """Wait until a request may have further bytes.

        :param reception: the request.
        :param size: further bytes.
        """
        while reception is not self._receptions[0] and self.bytes + size > self._max_bytes:
            await self._changed.wait()
