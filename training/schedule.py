"""Which pages each step of a run sees: they follow from the run's seed and length, the step and the card."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.batches import Batch, BatchMaker, SeenPage, pages_of
from training.curriculum import PageSpec, Stage, stage_at

#: Batches that ask about the same pages, unless a run has more of them.
TIMES_ASKED = 2
#: How many steps lie between two of them.
APART = 8
#: Largest share of wrong characters in an answer so far: what the model itself gets wrong on a bad page.
_MOST_MISSPELT = 0.08
#: Seeds of one trainer of a run, so that no two draw the same pages.
_SEEDS_OF_A_RANK = 10**12


@dataclass(frozen=True)
class Schedule:
    """The pages of a run's steps, on one card.

    :param seed: of the whole run.
    :param steps: length of the whole run, which places the curriculum.
    :param share: of the usual number of pages in a batch.
    :param rank: which of several trainers of one run: each has pages of its own, at the same step in
        the same mode.
    :param times: how many batches ask about the same pages.
    """

    seed: int
    steps: int
    share: float = 1.0
    rank: int = 0
    times: int = TIMES_ASKED

    @property
    def turn(self) -> int:
        """Steps until all pages are others."""
        return self.times * APART

    def drawn_at(self, step: int) -> int:
        """The step whose pages this step asks about: an earlier one, or itself."""
        return step - step // APART % self.times * APART

    def draws(self, first_step: int) -> Iterator[tuple[int, ...]]:
        """All steps from one on; together those about the same pages, in the order of the first of them."""
        turn = self.turn
        for begin in range(first_step - first_step % turn, self.steps, turn):
            together = [
                tuple(
                    step
                    for step in range(begin + each, begin + turn, APART)
                    if first_step <= step < self.steps
                )
                for each in range(APART)
            ]
            yield from sorted(filter(None, together))

    def is_last(self, step: int) -> bool:
        """Whether no later step asks about the same pages."""
        following = step + APART
        return following >= self.steps or self.drawn_at(following) != self.drawn_at(step)

    def stage(self, step: int) -> Stage:
        """The part of the training that the step's pages belong to."""
        return stage_at(self.drawn_at(step) / self.steps)

    def mode(self, step: int) -> str:
        """The resolution mode of a step, the same on all cards."""
        modes = self.stage(step).modes
        chosen = random.Random(self._seed(self.drawn_at(step)))
        return chosen.choices(list(modes), list(modes.values()))[0]

    def shape(self, step: int) -> tuple[str, PageSpec, int]:
        """What fixes the shape of a step's batch: mode, pages' specification, number of pages."""
        mode = self.mode(step)
        return mode, self.stage(step).pages[mode], pages_of(mode, self.share)

    def own_seed(self, step: int) -> int:
        """The seed of what this card draws or asks at a step."""
        return self.rank * _SEEDS_OF_A_RANK + self._seed(step)

    def _seed(self, step: int) -> int:
        return self.seed * 1_000_003 + step


class BatchSource:
    """Makes the batches of a schedule.

    :param assets: directory of fonts and texts, see :mod:`training.assets`.
    """

    def __init__(self, assets: Path, schedule: Schedule) -> None:
        self._schedule = schedule
        self._maker = BatchMaker(assets, share=schedule.share, most_misspelt=_MOST_MISSPELT)

    def see(self, step: int) -> list[SeenPage]:
        """The pages that a step asks about."""
        schedule = self._schedule
        return self._maker.see(
            schedule.own_seed(schedule.drawn_at(step)), schedule.mode(step), schedule.stage(step)
        )

    def ask(self, step: int, seen: Sequence[SeenPage]) -> Batch:
        """The step's batch, given its pages."""
        schedule = self._schedule
        return self._maker.ask(
            schedule.own_seed(step), list(seen), schedule.mode(step), schedule.stage(step)
        )
