"""Speed of a batch and time left."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.pipeline.reports.pace import Pace


def described(*steps: tuple[float, int, float]) -> str:
    """Return the last description, after steps of time (s), stored pages and share of the batch."""
    times = iter(step[0] for step in steps)
    pace = Pace(clock=lambda: next(times))
    for _, pages, share in steps:
        last = pace.describe(pages, share)
    return last


@pytest.mark.parametrize(
    "steps",
    [
        [(0, 0, 0.0)],
        [(0, 0, 0.0), (500, 0, 0.5)],
        [(0, 0, 0.0), (500, 7, 0.5)],
        [(0, 7, 0.5), (500, 7, 0.6)],
        [(5, 7, 0.5), (5, 8, 0.6)],
    ],
    ids=["start", "no page", "first page", "no page since", "no time"],
)
def test_nothing_is_known_yet(steps: list[tuple[float, int, float]]) -> None:
    assert described(*steps) == ""


def test_the_start_of_the_model_does_not_count() -> None:
    steps = [(0, 0, 0.0), (600, 10, 0.1), (620, 50, 0.3)]
    assert described(*steps) == "2.0 pages/s, about 1 min left"


@pytest.mark.parametrize(
    ("seconds", "left"),
    [(20, "20 s"), (600, "10 min"), (7000, "117 min"), (36_000, "10 h")],
)
def test_time_left(seconds: float, left: str) -> None:
    assert described((0, 1, 0.0), (seconds, 101, 0.5)).endswith(f", about {left} left")


def test_no_estimate_from_the_first_moments() -> None:
    assert described((0, 1, 0.0), (9, 10, 0.5)) == "1.0 pages/s"
    assert described((0, 1, 0.0), (100, 11, 0.01)) == "0.10 pages/s"


def test_attached_files_may_make_a_batch_larger() -> None:
    assert described((0, 1, 0.5), (100, 11, 0.4)) == "0.10 pages/s"
