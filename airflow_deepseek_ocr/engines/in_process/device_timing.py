"""Device time by phase, and how long the device idles between phases."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

#: Name of the time between two phases: the host had enqueued no work (a host stall).
IDLE = "idle"
#: Most phases whose marks are kept until the device has passed them.
_MOST_MARKS = 4096


class PhaseClock:
    """Adds up device time by phase.

    On a GPU the times come from CUDA events. The time between the end of a phase and the beginning of the
    next counts as idle.

    One thread records phases; any thread may read the sums.

    :param device: the device that does the work.
    :param now: the host's clock in seconds; used on a CPU.
    """

    def __init__(self, device: torch.device, now: Callable[[], float] = time.perf_counter) -> None:
        self._device, self._now, self._lock = device, now, threading.Lock()
        self._spans: deque[tuple[str, _Mark, _Mark]] = deque()
        self._last: _Mark | None = None
        self._seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the device work enqueued in the body as ``name``."""
        begin = _Mark(self._device, self._now)
        try:
            yield
        finally:
            end = _Mark(self._device, self._now)
            with self._lock:
                if self._last is not None:
                    self._spans.append((IDLE, self._last, begin))
                self._spans.append((name, begin, end))
                self._last = end
                self._add_up()

    def seconds(self) -> dict[str, float]:
        """Return seconds by phase so far, :data:`IDLE` included; work in the queue is not counted."""
        with self._lock:
            self._add_up()
            return dict(self._seconds)

    def pause(self) -> None:
        """Stop counting until the next phase: there are no pages, so the time is not idle time."""
        self._last = None

    def _add_up(self) -> None:
        while self._spans and (self._spans[0][2].passed() or len(self._spans) > _MOST_MARKS):
            name, begin, end = self._spans.popleft()
            if end.passed():
                passed = begin.seconds_until(end)
                self._seconds[name] = self._seconds.get(name, 0.0) + passed


class _Mark:
    """A point in the device's queue; on a CPU the current time."""

    def __init__(self, device: torch.device, now: Callable[[], float]) -> None:
        self._time = now()
        self._event: Any = None
        if device.type == "cuda":
            self._event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            self._event.record(torch.cuda.current_stream(device))

    def passed(self) -> bool:
        """Return whether the device has reached this point."""
        return self._event is None or bool(self._event.query())

    def seconds_until(self, later: _Mark) -> float:
        """Return the seconds between two marks that the device has passed."""
        if self._event is None:
            return later._time - self._time
        return float(self._event.elapsed_time(later._event)) / 1000


def format_shares(seconds: dict[str, float]) -> str:
    """Return shares of the total, such as ``decode 61%, vision 33%, idle 6%``."""
    total = sum(seconds.values())
    if not total:
        return "nothing"
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {share / total:.0%}" for name, share in ordered)
