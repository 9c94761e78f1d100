"""What a run's log says of the time between two lines: losses, speed, and what the card waited for."""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from training.batches import Batch
from training.feed import Feed

_NAMES = ("loss", "tokens_right", "character_loss", "characters_right")


class Pace:
    """Sums between two lines of the log; tensors stay on the device until they are asked for.

    The card's own clock tells how long steps take. Steps queue up, so that the host's clock would count
    its own waiting for the queue.

    :param device: a torch device.
    :param cards: how many share the work; pages count for all of them.
    :param feed: where the batches come from, if it shall be in the log as well.
    """

    def __init__(self, device: str, cards: int = 1, feed: Feed | None = None) -> None:
        self._on_gpu, self._cards, self._feed = device.startswith("cuda"), cards, feed
        self._figures: dict[str, list[torch.Tensor]] = {}
        self._marks: list[list[Any]] = []
        self._start()

    def _start(self) -> None:
        self._figures, self._marks = {}, []
        self._pages, self._since, self._cpu_since = 0, time.monotonic(), time.process_time()

    def mark(self, *, first: bool = False) -> None:
        """Note a time within a step.

        :param first: whether a step begins. Its gradients, their mean over all cards and the update
            follow, each with a mark at its end.
        """
        if first:
            self._marks.append([])
        if self._on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks[-1].append(event)
        else:
            self._marks[-1].append(time.monotonic())

    def add(self, batch: Batch, figures: torch.Tensor) -> None:
        """Count a step.

        :param figures: (4,): mean loss and share of tokens, mean loss and share of characters.
        """
        self._pages += batch.pages
        self._figures.setdefault(batch.mode, []).append(figures)

    def take(self) -> dict[str, Any]:
        """Means by mode, and speeds; starts afresh.

        ``busy``: share of the time in which the card made gradients and updates. ``averaging``: in which
        it averaged gradients, the wait for slower cards included. The rest is ``idle``: pages or the host
        were too slow. ``limit_pages_per_s``: pages of all cards if they were never idle. The rest is of
        one card's processes. ``waits``: share of the time in which the trainer waited for pages;
        ``drawing``: in which a worker was at work, ``drawing_cpu`` on a core; ``host_ms``: processor time
        of the trainer's own process for a step.

        :raises FloatingPointError: if the loss is no longer finite.
        """
        cpu_s = time.process_time() - self._cpu_since  # the following waits for the card
        modes = {}
        for mode, rows in self._figures.items():
            means = torch.stack(rows).mean(0).tolist()
            if not all(map(math.isfinite, means)):
                raise FloatingPointError("the loss is not finite; go on from an earlier state")
            modes[mode] = {name: round(mean, 4) for name, mean in zip(_NAMES, means, strict=True)}
            modes[mode]["batches"] = len(rows)
        passed = time.monotonic() - self._since
        result: dict[str, Any] = {"modes": modes}
        if self._marks:
            result |= self._speeds(passed) | self._shares(passed, cpu_s)
        self._start()
        return result

    def _speeds(self, passed: float) -> dict[str, float]:
        busy = averaging = 0.0
        for begin, gradients, averaged, end in self._marks:
            busy += self._between(begin, gradients) + self._between(averaged, end)
            averaging += self._between(gradients, averaged)
        pages, steps = self._pages * self._cards, len(self._marks)
        return {
            "pages_per_s": round(pages / passed, 1),
            "limit_pages_per_s": round(pages / max(busy + averaging, 1e-9), 1),
            "steps_per_s": round(steps / passed, 2),
            "busy": round(busy / passed, 3),
            "averaging": round(averaging / passed, 3),
            "idle": round(max(0.0, 1 - (busy + averaging) / passed), 3),
        }

    def _shares(self, passed: float, cpu_s: float) -> dict[str, float]:
        shares = {"host_ms": round(1000 * cpu_s / len(self._marks), 1)}
        if self._feed is not None:
            figures, workers = self._feed.figures(), max(1, self._feed.workers)
            shares |= {
                "waits": round(figures.waited_s / passed, 3),
                "drawing": round(figures.at_work_s / passed / workers, 3),
                "drawing_cpu": round(figures.workers_cpu_s / passed / workers, 3),
            }
        return shares

    def _between(self, begin: Any, end: Any) -> float:
        """Seconds between two marks."""
        if self._on_gpu:
            milliseconds: float = begin.elapsed_time(end)
            return milliseconds / 1000
        seconds: float = end - begin
        return seconds
