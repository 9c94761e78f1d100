"""Sums between two lines of a log."""

from __future__ import annotations

import time

import pytest
import torch

from training.batches import Batch
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


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    pace = Pace("cpu")
    pace.add(Batch("small", [], [], 8), torch.tensor([float("nan"), 0.5, 1.0, 0.25]))
    with pytest.raises(FloatingPointError):
        pace.take()
