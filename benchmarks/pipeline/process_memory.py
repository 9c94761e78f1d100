"""Peak memory of a process and its children."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import psutil

#: Seconds between two measurements.
_EVERY_S = 0.25


class PeakMemory:
    """Measures the memory of a process tree in a thread; shared pages count once (PSS).

    :param process: id of the process.
    :ivar bytes: the largest sum so far.
    """

    def __init__(self, process: int) -> None:
        self.bytes = 0
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
            self.bytes = max(self.bytes, sum(map(_pss, tree)))


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
