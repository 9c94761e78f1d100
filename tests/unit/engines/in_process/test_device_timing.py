"""Device time by phase."""

from __future__ import annotations

import pytest
import torch

from airflow_deepseek_ocr.engines.in_process.device_timing import PhaseClock, format_shares


def test_time_between_phases_is_idle_time_unless_the_clock_is_paused() -> None:
    now = [100.0]
    clock = PhaseClock(torch.device("cpu"), now=lambda: now[0])
    for name, busy, after in (("vision", 3.0, 0.5), ("decode", 4.0, 0.5), ("vision", 1.0, 0.0)):
        with clock.phase(name):
            now[0] += busy
        now[0] += after
    clock.pause()
    now[0] += 1000.0
    with pytest.raises(RuntimeError), clock.phase("decode"):
        now[0] += 1.0
        raise RuntimeError("out of memory")
    assert clock.seconds() == {"vision": 4.0, "decode": 5.0, "idle": 1.0}
    assert format_shares(clock.seconds()) == "decode 50%, vision 40%, idle 10%"


def test_without_a_phase_there_is_nothing_to_share() -> None:
    assert format_shares(PhaseClock(torch.device("cpu")).seconds()) == "nothing"
