"""Simulated slots of a GPU: what batches, tasks and the order of pages do to short runs.

    python -m benchmarks.short_runs

Nothing is read. A step takes the time that was measured on an H200 in gundam mode, by the number of pages in
slots (``docs/measurements/engines.md``), and pages have the lengths of the other benchmarks.
"""

from __future__ import annotations

import argparse
import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.workload import lengths

#: Slots, and milliseconds of a step with so many pages at 1,300 columns.
_SLOTS = 384
_PAGES, _STEP_MS = (8, 64, 256, 384), (2.1, 4.0, 8.6, 12.4)
#: Milliseconds of a page in the vision tower and for its prompt: 39 % of a page's time at 19.6 pages/s.
_ENTER_MS = 20.0
#: Pages that enter together, at most, and steps between two groups.
_GROUP, _STEPS = 8, 4
#: Seconds from the end of a batch to the first page of the task's next one: the start of a mapped task.
_TASK_START_S = 5.0
#: Pages a second that a task renders.
_RENDERED_PER_S = 60.0


@dataclass(frozen=True)
class Run:
    """The result of a run.

    :param pages_per_s: pages a second, from the start of the first task to the end of the last page.
    :param slots: pages in slots on average.
    """

    pages_per_s: float
    slots: float


def simulate(
    texts: Sequence[int],
    *,
    batch: int,
    tasks: int = 1,
    group_waits: int = 1,
) -> Run:
    """Read pages with tasks that take one batch after the other.

    :param texts: tokens of each page, in the order in which they are read.
    :param batch: pages of a batch.
    :param tasks: tasks at once.
    :param group_waits: pages that the first group waits for.
    """
    batches = deque(list(texts[start : start + batch]) for start in range(0, len(texts), batch))
    arrivals: list[tuple[float, int, int]] = []
    unfinished = [0] * tasks

    def begin(task: int, when: float) -> None:
        if batches:
            pages = batches.popleft()
            unfinished[task] = len(pages)
            for number, tokens in enumerate(pages, 1):
                heapq.heappush(arrivals, (when + 1000 * number / _RENDERED_PER_S, tokens, task))

    for task in range(tasks):
        begin(task, 0.0)
    now, slot_ms = 0.0, 0.0
    waiting: deque[tuple[int, int]] = deque()
    running: list[list[int]] = []
    began = False
    while arrivals or waiting or running:
        while arrivals and arrivals[0][0] <= now:
            _, tokens, task = heapq.heappop(arrivals)
            waiting.append((tokens, task))
        began = began or len(waiting) >= group_waits or not arrivals
        free = min(_GROUP, _SLOTS - len(running)) if began else 0
        group = [waiting.popleft() for _ in range(min(free, len(waiting)))]
        spent = _ENTER_MS * len(group)
        running += [[tokens, task] for tokens, task in group]
        if not running:
            now = arrivals[0][0] if arrivals else now + 1.0
            continue
        spent += _STEPS * float(np.interp(len(running), _PAGES, _STEP_MS))
        now += spent
        slot_ms += spent * len(running)
        for page in running:
            page[0] -= _STEPS
        for _, task in [page for page in running if page[0] <= 0]:
            unfinished[task] -= 1
            if not unfinished[task]:
                begin(task, now + 1000 * _TASK_START_S)
        running = [page for page in running if page[0] > 0]
    return Run(1000 * len(texts) / now, slot_ms / now)


def main() -> None:
    """Print a table of batches and tasks, and one of the order of pages."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.short_runs")
    parser.add_argument("--pages", type=int, default=2560)
    parser.add_argument("--short", type=int, default=640, help="pages of a short run")
    options = parser.parse_args()
    texts = lengths(options.pages)
    print("| pages of a batch | tasks | pages/s | slots in use, of 384 |\n|---|---|---|---|")
    for batch in (16, 64, 200, 640, options.pages):
        for tasks in (1, 2, 4):
            run = simulate(texts, batch=batch, tasks=tasks)
            print(f"| {batch} | {tasks} | {run.pages_per_s:.1f} | {run.slots:.0f} |")
    short = texts[: options.short]
    ways = {
        "as they come": simulate(short, batch=len(short)),
        "the first group waits for 8 pages": simulate(short, batch=len(short), group_waits=8),
        "the longest first": simulate(sorted(short, reverse=True), batch=len(short)),
    }
    print(f"\n| {len(short)} pages in one batch | pages/s |\n|---|---|")
    for way, run in ways.items():
        print(f"| {way} | {run.pages_per_s:.1f} |")


if __name__ == "__main__":
    main()
