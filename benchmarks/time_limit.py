"""Measurements that end in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class TimeLimit:
    """Leaves out measurements that would end too late, so that those before are not lost.

    :param seconds: from now; None for no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._longest = 0.0

    def allows_another(self) -> bool:
        """Return whether a measurement as long as the longest so far ends in time."""
        return self._end is None or time.monotonic() + self._longest < self._end

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure how long the block takes."""
        started = time.monotonic()
        yield
        self._longest = max(self._longest, time.monotonic() - started)
