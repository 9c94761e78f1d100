"""Log lines about a fetch that takes minutes: size before it, progress at intervals, speed after it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)

#: Seconds between two lines: a fetch of 6.7 GB at 100 MB/s has seven of them, as a log can hold.
INTERVAL_S = 10.0


class FetchProgress:
    """Lines in the log while the body of the ``with`` statement fetches files.

    A thread asks for the number of bytes at intervals, so that any kind of fetch can be followed.

    :param what: the files, for the lines.
    :param total_bytes: bytes to fetch; None if unknown.
    :param fetched_bytes: return the bytes fetched so far.
    :param interval_s: seconds between two lines.
    """

    def __init__(
        self,
        what: str,
        total_bytes: int | None,
        fetched_bytes: Callable[[], int],
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._what, self._total, self._fetched = what, total_bytes, fetched_bytes
        self._interval_s = interval_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._report, name="fetch-progress", daemon=True)
        self._started = 0.0

    def __enter__(self) -> Self:
        size = "" if self._total is None else f": {format_bytes(self._total)}"
        log.info("Fetching %s%s", self._what, size)
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        if error is None:
            seconds = time.monotonic() - self._started
            fetched = self._fetched()
            speed = format_bytes(fetched / seconds if seconds else 0)
            log.info(
                "Fetched %s: %s in %.0f s, %s/s", self._what, format_bytes(fetched), seconds, speed
            )

    def _report(self) -> None:
        before = 0
        while not self._end.wait(self._interval_s):
            fetched = self._fetched()
            seconds = time.monotonic() - self._started
            speed = (fetched - before) / self._interval_s
            log.info(
                "%s: %s", self._what, progress_line(fetched, self._total, seconds, max(0.0, speed))
            )
            before = fetched


def progress_line(fetched: int, total: int | None, seconds: float, speed: float) -> str:
    """Return the text of one line.

    :param fetched: bytes fetched so far.
    :param total: bytes to fetch; None if unknown.
    :param seconds: since the start; the remaining time is estimated by the average speed.
    :param speed: bytes per second now.
    """
    now = f"{format_bytes(speed)}/s"
    if not total:
        return f"{format_bytes(fetched)} fetched, {now}"
    line = f"{format_bytes(fetched)} of {format_bytes(total)} ({fetched / total:.0%}), {now}"
    if not fetched or fetched >= total:
        return line
    minutes, rest = divmod(round(seconds * (total - fetched) / fetched), 60)
    return f"{line}, {f'{minutes} min ' if minutes else ''}{rest} s left"


def format_bytes(number: float) -> str:
    """Return a number of bytes with a decimal unit, such as ``6.7 GB``.

    :param number: bytes.
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.{1 if unit == 'GB' else 0}f} {unit}"
    return f"{number:.0f} B"
