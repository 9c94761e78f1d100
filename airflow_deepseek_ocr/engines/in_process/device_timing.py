"""What the device does when, and for how long it waits for the host."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

#: Name of the time between two phases.
IDLE = "waiting"
#: Phases whose marks are kept before they are looked at: a mark is known when the device has passed it.
_MOST_MARKS = 4096


class PhaseClock:
    """Adds up the device's time by what it does.

    On a GPU times are the GPU's own, from events in its queue, and waiting is what passes between the end
    of a phase and the beginning of the next: the host had not asked for it yet.

    One thread works, any other may ask.

    :param device: where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._lock = device, threading.Lock()
        self._spans: deque[tuple[str, _Mark, _Mark]] = deque()
        self._last: _Mark | None = None
        self._seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """All that is asked of the device in here counts as ``name``."""
        begin = _Mark(self._device)
        try:
            yield
        finally:
            end = _Mark(self._device)
            with self._lock:
                if self._last is not None:
                    self._spans.append((IDLE, self._last, begin))
                self._spans.append((name, begin, end))
                self._last = end
                self._add_up()

    def seconds(self) -> dict[str, float]:
        """Seconds by phase so far, ``waiting`` among them; what the device has not done is left out."""
        with self._lock:
            self._add_up()
            return dict(self._seconds)

    def rest(self) -> None:
        """Nothing is to be done for now: the time until the next phase is nobody's."""
        self._last = None

    def _add_up(self) -> None:
        while self._spans and (self._spans[0][2].passed() or len(self._spans) > _MOST_MARKS):
            name, begin, end = self._spans.popleft()
            if end.passed():
                passed = begin.seconds_until(end)
                self._seconds[name] = self._seconds.get(name, 0.0) + passed


class _Mark:
    """A moment in the order of the device's work; on a CPU simply now."""

    def __init__(self, device: torch.device) -> None:
        self._time = time.perf_counter()
        self._event: Any = None
        if device.type == "cuda":
            self._event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            self._event.record(torch.cuda.current_stream(device))

    def passed(self) -> bool:
        """Whether the device has come here."""
        return self._event is None or bool(self._event.query())

    def seconds_until(self, later: _Mark) -> float:
        """Time between two marks that the device has passed."""
        if self._event is None:
            return later._time - self._time
        return float(self._event.elapsed_time(later._event)) / 1000


def as_shares(seconds: dict[str, float]) -> str:
    """Such as ``decode 61 %, vision 33 %, waiting 6 %``."""
    total = sum(seconds.values())
    if not total:
        return "nothing"
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {share / total:.0%}" for name, share in ordered)
