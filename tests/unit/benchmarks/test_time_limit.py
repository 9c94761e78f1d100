"""Measurements that end in time."""

import pytest

from benchmarks import time_limit
from benchmarks.time_limit import TimeLimit


def test_a_measurement_as_long_as_the_longest_so_far_must_end_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time_limit.time, "monotonic", lambda: now[0])
    limit = TimeLimit(100)
    with limit.measuring():
        now[0] = 40
    assert limit.allows_another()
    now[0] = 61
    assert not limit.allows_another()


def test_without_a_limit_each_measurement_is_allowed() -> None:
    assert TimeLimit(None).allows_another()
