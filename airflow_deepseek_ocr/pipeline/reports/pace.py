"""How fast a batch is, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_deepseek_ocr.counted import pages_per_second

#: Share of a batch that must have ended for an estimate: before, a few documents decide it.
_LEAST_SHARE = 0.02
#: Seconds after the first page for the same.
_LEAST_S = 10.0
_MINUTE, _HOUR = 60, 3600


class Pace:
    """Measures from the first page that was stored: the start of the model says nothing about the rest.

    :param clock: monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int, float] | None = None

    def describe(self, pages: int, share: float) -> str:
        """Return speed and time left, such as ``4.2 pages/s, about 12 min left``; empty if unknown.

        :param pages: stored pages.
        :param share: part of the batch that has ended, 0 to 1.
        """
        now = self._clock()
        if self._first is None:
            self._first = (now, pages, share) if pages else None
            return ""
        since, pages_then, share_then = self._first
        seconds, done = now - since, share - share_then
        if seconds <= 0 or pages == pages_then:
            return ""
        words = pages_per_second(pages - pages_then, seconds)
        if done >= _LEAST_SHARE and seconds >= _LEAST_S:
            words += f", about {_duration(seconds / done * (1 - share))} left"
        return words


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h"
