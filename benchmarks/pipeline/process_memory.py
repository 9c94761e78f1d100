"""Peak memory of a process and its children."""

from __future__ import annotations

import statistics
import threading
from types import TracebackType
from typing import Self

import psutil

#: Seconds between two measurements.
_EVERY_S = 0.25


class PeakMemory:
    """Measures the memory of a process tree in a thread; shared pages count once (PSS).

    :param process: id of the process.
    :ivar samples: bytes at each measurement so far.
    """

    def __init__(self, process: int) -> None:
        self.samples: list[int] = []
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _measure(self) -> None:
        while not self._over.wait(_EVERY_S):
            try:
                root = psutil.Process(self._process)
                tree = [root, *root.children(recursive=True)]
            except psutil.Error:
                return
            self.samples.append(sum(map(_pss, tree)))

    @property
    def bytes(self) -> int:
        """The largest measurement so far."""
        return max(self.samples, default=0)

    def tenths(self) -> list[int]:
        """Return the median of each tenth of the time, in bytes; fewer after few measurements."""
        parts = [
            self.samples[len(self.samples) * part // 10 : len(self.samples) * (part + 1) // 10]
            for part in range(10)
        ]
        return [int(statistics.median(part)) for part in parts if part]


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
