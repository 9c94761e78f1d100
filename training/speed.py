"""How fast one core draws pages: with the cards' own speed, it says how many cores a card needs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from training.batches import TIMES_ASKED, BatchMaker
from training.curriculum import STAGES

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
        return {
            name: round(value, 1) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


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
