"""Batches from other processes: the same, in the same order, whoever draws them and wherever one begins."""

from __future__ import annotations

import os
import signal
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch

from training import curriculum
from training import feed as feed_module
from training.batches import Batch, BatchMaker
from training.curriculum import PageSpec, Stage
from training.feed import Feed
from training.schedule import APART, TIMES_ASKED, BatchSource, Schedule

SCHEDULE = Schedule(seed=1, steps=2 * TIMES_ASKED * APART + 3, share=0.02)

#: Small pages, at first without texts.
SHORT = (
    Stage(0.3, {"tiny": 1}, {"tiny": PageSpec(60, (18, 40))}),
    Stage(
        1.0,
        {"tiny": 0.5, "small": 0.5},
        dict.fromkeys(("tiny", "small"), PageSpec(60, (18, 40), (64, 88, 120, 160, 192))),
        ("free", "markdown"),
    ),
)


@pytest.fixture(autouse=True)
def short_curriculum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curriculum, "STAGES", SHORT)


def draw(assets: Path, first_step: int, workers: int, count: int | None = None) -> list[Batch]:
    with Feed(assets, SCHEDULE, first_step, workers, "cpu") as feed:
        return list(islice(feed, count))


def assert_equal(ones: list[Batch], others: list[Batch]) -> None:
    for one, other in zip(ones, others, strict=True):
        assert (one.mode, one.pages) == (other.mode, other.pages)
        for ours, theirs in zip(one.tensors(), other.tensors(), strict=True):
            assert torch.equal(ours, theirs)


def test_order_is_fixed_and_resumed_where_it_stopped(assets: Path) -> None:
    whole = draw(assets, 0, workers=0)
    assert len(whole) == SCHEDULE.steps
    assert_equal(whole, draw(assets, 0, workers=3))
    # From the middle of a turn, where pages have been asked about once.
    first = TIMES_ASKED * APART + APART // 2
    assert_equal(whole[first:], draw(assets, first, workers=2))
    # The same pages are asked about several times, and something else each time.
    second = TIMES_ASKED * APART
    turns = [(whole[step], whole[step + APART]) for step in range(second, second + APART)]
    for one, other in turns:
        assert torch.equal(one.views[0].pixels, other.views[0].pixels)
    assert any(
        not torch.equal(ours.ids, theirs.ids)
        for one, other in turns
        for ours, theirs in zip(one.sequences, other.sequences, strict=True)
    )


def test_each_step_is_drawn_once_and_with_those_of_the_same_pages() -> None:
    for first in (0, 5, APART, APART + 3, 31):
        draws = list(SCHEDULE.draws(first))
        counts = Counter(step for steps in draws for step in steps)
        assert counts == Counter(range(first, SCHEDULE.steps))
        assert [steps[0] for steps in draws] == sorted(steps[0] for steps in draws)
        for steps in draws:
            assert len({SCHEDULE.drawn_at(step) for step in steps}) == 1
            assert [SCHEDULE.is_last(step) for step in steps] == [False] * (len(steps) - 1) + [True]


def test_pages_may_be_asked_about_more_often() -> None:
    thrice = Schedule(seed=1, steps=60, times=3)
    assert list(thrice.draws(0))[:2] == [(0, 8, 16), (1, 9, 17)]
    assert [thrice.drawn_at(step) for step in (0, 8, 16, 24, 32)] == [0, 0, 0, 24, 24]
    once = Schedule(seed=1, steps=60, times=1)
    assert list(once.draws(57)) == [(57,), (58,), (59,)]
    assert all(once.is_last(step) for step in range(60))


def test_cards_have_pages_of_their_own_in_the_same_mode(assets: Path) -> None:
    one, other = (Schedule(seed=1, steps=40, share=0.02, rank=rank) for rank in (0, 1))
    assert [one.mode(step) for step in range(40)] == [other.mode(step) for step in range(40)]
    batches = [
        source.ask(39, source.see(39))
        for source in (BatchSource(assets, one), BatchSource(assets, other))
    ]
    assert not torch.equal(batches[0].views[0].pixels, batches[1].views[0].pixels)


def test_a_trainer_that_is_slow_stops_the_workers_until_there_is_room(assets: Path) -> None:
    with Feed(assets, SCHEDULE, 0, 1, "cpu") as feed:
        taken = iter(feed)
        next(taken)
        assert feed._pool is not None
        room = len(feed._pool._slots)
        assert room < SCHEDULE.steps
        assert len(list(taken)) == SCHEDULE.steps - 1
        figures = feed.figures()
    assert figures.waited_s > 0
    assert figures.at_work_s >= figures.workers_cpu_s * 0.5 > 0
    assert feed.figures().at_work_s == 0


def test_a_failure_in_a_worker_is_reported(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no such font")

    monkeypatch.setattr(BatchMaker, "see", fail)
    with pytest.raises(RuntimeError, match="no such font"):
        draw(assets, 0, workers=2)


def test_a_worker_that_is_killed_ends_the_run(
    assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(BatchMaker, "see", die)
    with pytest.raises(RuntimeError, match="exit code -9"):
        draw(assets, 0, workers=1)


def test_workers_end_with_the_feed_and_not_by_signals(assets: Path) -> None:
    with Feed(assets, SCHEDULE, 0, 2, "cpu") as feed:
        taken = iter(feed)
        next(taken)
        assert feed._pool is not None
        processes = feed._pool._processes
        for process in processes:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGTERM)
        next(taken)
        assert all(process.is_alive() for process in processes)
    assert not any(process.is_alive() for process in processes)


def test_pages_that_do_not_come_are_an_error(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(feed_module, "_LOOK_FOR_S", 0.01)
    with pytest.raises(TimeoutError, match="step 0 "):
        draw(assets, 0, workers=1)
