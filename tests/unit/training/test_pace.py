"""Sums between two lines of a log."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from training import pace as pace_module
from training.batches import Batch
from training.feed import Feed, Figures
from training.pace import Pace


def test_the_card_s_waits_are_distinguished() -> None:
    pace = Pace("cpu", cards=2)
    for seconds in (0.02, 0.03):
        time.sleep(0.05)  # no pages yet
        pace.mark(first=True)
        time.sleep(seconds)
        pace.mark()
        pace.mark()
        pace.mark()
        pace.add(Batch("small", [], [], 8), torch.tensor([2.0, 0.5, 1.0, 0.25]))
    line = pace.take()
    assert line["modes"]["small"] == {
        "loss": 2.0,
        "tokens_right": 0.5,
        "character_loss": 1.0,
        "characters_right": 0.25,
        "batches": 2,
    }
    assert line["idle"] > 0.2
    assert line["limit_pages_per_s"] > 1.2 * line["pages_per_s"] > 0
    assert line["busy"] + line["averaging"] + line["idle"] == pytest.approx(1, abs=0.01)
    assert pace.take() == {"modes": {}}


def test_the_log_says_what_the_card_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [Figures(waited_s=0.5, at_work_s=6.0, workers_cpu_s=3.0)]
    feed = cast(Feed, SimpleNamespace(workers=4, figures=taken.pop))
    clock = iter((10.0, 0.0, 0.0, 0.0, 0.0, 12.0, 12.0))
    cpu = iter((1.0, 1.25, 1.25))
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(pace_module.time, "process_time", lambda: next(cpu))
    pace = Pace("cpu", feed=feed)
    for number in range(4):
        pace.mark(first=number == 0)
    pace.add(Batch("small", [], [], 8), torch.ones(4))
    line = pace.take()
    # In two seconds, with four workers.
    shares = {name: line[name] for name in ("waits", "drawing", "drawing_cpu", "host_ms")}
    assert shares == {"waits": 0.25, "drawing": 0.75, "drawing_cpu": 0.375, "host_ms": 250.0}


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    pace = Pace("cpu")
    pace.add(Batch("small", [], [], 8), torch.tensor([float("nan"), 0.5, 1.0, 0.25]))
    with pytest.raises(FloatingPointError):
        pace.take()
