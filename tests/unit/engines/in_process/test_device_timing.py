"""Whose time is whose."""

from __future__ import annotations

import time

import pytest
import torch

from airflow_deepseek_ocr.engines.in_process.device_timing import PhaseClock, as_shares


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, for the test to set."""
    moments = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: moments[0])
    return moments


def test_time_between_phases_is_waiting_unless_there_is_nothing_to_do(now: list[float]) -> None:
    clock = PhaseClock(torch.device("cpu"))
    for name, busy, after in (("vision", 3.0, 0.5), ("decode", 4.0, 0.5), ("vision", 1.0, 0.0)):
        with clock.phase(name):
            now[0] += busy
        now[0] += after
    clock.rest()
    now[0] += 1000.0
    with pytest.raises(RuntimeError), clock.phase("decode"):
        now[0] += 1.0
        raise RuntimeError("out of memory")
    assert clock.seconds() == {"vision": 4.0, "decode": 5.0, "waiting": 1.0}
    assert as_shares(clock.seconds()) == "decode 50%, vision 40%, waiting 10%"


def test_nothing_was_done() -> None:
    assert as_shares(PhaseClock(torch.device("cpu")).seconds()) == "nothing"
