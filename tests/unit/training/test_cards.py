"""Processes that average and agree, on a CPU."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
import torch

from training.cards import Cards, on_cards, on_termination


def _exchange(cards: Cards, out: Path) -> None:
    mean, copied = torch.tensor([1.0, 10.0]) * (cards.rank + 1), torch.full((2,), float(cards.rank))
    cards.average(mean)
    cards.copy_first([copied])
    agreed = cards.agree(0.5 + cards.rank, True)
    (out / str(cards.rank)).write_text(f"{mean.tolist()} {copied.tolist()} {agreed}")


def _fail(cards: Cards, _: object) -> None:
    if cards.rank == 1:
        raise OSError("no pages")
    cards.average(torch.zeros(1))


@pytest.mark.slow
def test_processes_share_the_mean_and_the_first_ones_word(tmp_path: Path) -> None:
    on_cards(2, _exchange, tmp_path)
    expected = "[1.5, 15.0] [0.0, 0.0] (0.5, 1.0)"
    assert [(tmp_path / rank).read_text() for rank in "01"] == [expected] * 2


@pytest.mark.slow
def test_a_process_that_fails_ends_the_others_and_is_named() -> None:
    with pytest.raises(Exception, match=r"no pages|Connection closed"):
        on_cards(2, _fail, None)


def test_one_card_needs_no_other_process(tmp_path: Path) -> None:
    on_cards(1, _exchange, tmp_path)
    assert (tmp_path / "0").read_text() == "[1.0, 10.0] [0.0, 0.0] (0.5, True)"
    with pytest.raises(ValueError, match="cards"):
        on_cards(0, _exchange, tmp_path)


def test_termination_makes_a_call_and_the_handler_returns() -> None:
    before, calls = signal.getsignal(signal.SIGTERM), []
    with on_termination(lambda: calls.append(True)):
        os.kill(os.getpid(), signal.SIGTERM)
        assert calls == [True]
    assert signal.getsignal(signal.SIGTERM) == before

    def elsewhere() -> None:
        with on_termination(lambda: None):
            calls.append(False)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(10)
    assert calls == [True, False]
