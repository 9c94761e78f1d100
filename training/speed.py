"""How fast pages are drawn, by one core and by all, and what the trainer's own process does to take them.

With a card's own speed, which the log of a run has, it says whether pages will come in time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from training.batches import BatchMaker
from training.curriculum import STAGES
from training.feed import Feed
from training.schedule import APART, TIMES_ASKED, Schedule

#: Length of a run whose end is in the last stage.
_STEPS = 1_000_000
#: Of a batch: enough pages for a mean.
_SHARE = 0.25


@dataclass(frozen=True)
class Drawing:
    """What one core does in a second of its time, for pages of one mode.

    :param mode: resolution mode.
    :param drawn_per_s: pages drawn, worn and cut into views.
    :param asked_per_s: pages turned into sequences, which happens several times for each drawn one.
    :param pages_per_s: pages in batches, with each drawn page asked as often as in training.
    """

    mode: str
    drawn_per_s: float
    asked_per_s: float
    pages_per_s: float

    def as_dict(self) -> dict[str, object]:
        """For a log; figures rounded to one digit."""
        return _rounded(asdict(self))


@dataclass(frozen=True)
class Feeding:
    """What comes to a trainer that does nothing else than take batches.

    :param workers: processes that draw.
    :param batches_per_s: steps a second that the pages suffice for.
    :param pages_per_s: pages in them.
    :param trainer_ms: processor time of the trainer's process for a batch. On a CPU it copies each; a GPU
        fetches them by itself.
    :param drawing_ms: processor time of a worker for a batch. Many at once take longer than one alone if
        they share cores' units or the memory.
    :param on_a_core: share of a worker's time at work in which it had a core, 0 to 1.
    """

    workers: int
    batches_per_s: float
    pages_per_s: float
    trainer_ms: float
    drawing_ms: float
    on_a_core: float

    def as_dict(self) -> dict[str, object]:
        """For a log; figures rounded to two digits."""
        return _rounded(asdict(self), 2)


def _rounded(values: dict[str, object], digits: int = 1) -> dict[str, object]:
    return {
        name: round(value, digits) if isinstance(value, float) else value
        for name, value in values.items()
    }


def feeding_speed(
    assets: Path, batches: int, workers: int, device: str, share: float = 1.0
) -> Feeding:
    """Take batches of the last stage as a trainer takes them.

    :param assets: fonts and texts, see :mod:`training.assets`.
    :param batches: how many.
    :param workers: processes that draw.
    :param device: a torch device.
    :param share: of the usual number of pages in a batch.
    """
    # Those that are drawn while workers start say nothing.
    before = TIMES_ASKED * APART
    first = _STEPS - before - batches
    with Feed(assets, Schedule(0, _STEPS, share), first, workers, device) as feed:
        taken = iter(feed)
        for _ in range(before):
            next(taken)
        feed.figures()
        began, began_cpu = time.monotonic(), time.process_time()
        pages = sum(batch.pages for batch in taken)
        took, cpu = time.monotonic() - began, time.process_time() - began_cpu
        figures = feed.figures()
    return Feeding(
        workers,
        batches / took,
        pages / took,
        1000 * cpu / batches,
        1000 * figures.workers_cpu_s / batches,
        figures.workers_cpu_s / max(figures.at_work_s, 1e-9),
    )


def drawing_speed(assets: Path, batches: int) -> Iterator[Drawing]:
    """Draw batches of the last stage's modes, in this process.

    :param assets: fonts and texts, see :mod:`training.assets`.
    :param batches: how many of each mode.
    """
    torch.set_num_threads(1)
    maker, stage = BatchMaker(assets, share=_SHARE, most_misspelt=0.08), STAGES[-1]
    for mode in stage.modes:
        maker.ask(0, maker.see(0, mode, stage), mode, stage)  # loads the tokenizer and some fonts
        began = time.process_time()
        seen = [maker.see(1 + number, mode, stage) for number in range(batches)]
        drawn = time.process_time()
        for number, pages in enumerate(seen):
            maker.ask(number, pages, mode, stage)
        asked = time.process_time()
        count = sum(map(len, seen))
        drawing, asking = (drawn - began) / count, (asked - drawn) / count
        yield Drawing(mode, 1 / drawing, 1 / asking, 1 / (drawing / TIMES_ASKED + asking))
