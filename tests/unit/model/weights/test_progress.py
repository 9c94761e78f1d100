"""Lines about a fetch."""

from __future__ import annotations

import logging
import threading

import pytest

from airflow_deepseek_ocr.model.weights.progress import FetchProgress, format_bytes, progress_line

GB, MB = 10**9, 10**6


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (5000, "5 kB"), (85 * MB, "85 MB"), (6.67 * GB, "6.7 GB")],
)
def test_sizes_have_decimal_units(number: float, text: str) -> None:
    assert format_bytes(number) == text


@pytest.mark.parametrize(
    ("fetched", "total", "seconds", "line"),
    [
        (1 * GB, 6 * GB, 12, "1.0 GB of 6.0 GB (17%), 80 MB/s, 1 min 0 s left"),
        (5 * GB, 6 * GB, 60, "5.0 GB of 6.0 GB (83%), 80 MB/s, 12 s left"),
        (0, 6 * GB, 10, "0 B of 6.0 GB (0%), 80 MB/s"),
        (6 * GB, 6 * GB, 60, "6.0 GB of 6.0 GB (100%), 80 MB/s"),
        (1 * GB, None, 12, "1.0 GB fetched, 80 MB/s"),
    ],
)
def test_a_line_names_share_speed_and_remaining_time(
    fetched: int, total: int | None, seconds: float, line: str
) -> None:
    assert progress_line(fetched, total, seconds, 80 * MB) == line


def test_lines_before_during_and_after_a_fetch(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    asked = threading.Event()
    fetched = 0

    def fetched_bytes() -> int:
        asked.set()
        return fetched

    with FetchProgress("the weights", 10 * MB, fetched_bytes, interval_s=0.01):
        fetched = 4 * MB
        asked.clear()
        assert asked.wait(30)
        asked.clear()
        assert asked.wait(30)  # the line of the first question is in the log
        fetched = 10 * MB
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "Fetching the weights: 10 MB"
    assert any("the weights: 4 MB of 10 MB (40%)" in line for line in lines)
    assert lines[-1].startswith("Fetched the weights: 10 MB in ")
    assert "fetch-progress" not in {thread.name for thread in threading.enumerate()}


def test_a_fetch_that_fails_is_not_called_fetched(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with (
        pytest.raises(ConnectionError),
        FetchProgress("the weights", None, lambda: 0, interval_s=60),
    ):
        raise ConnectionError
    assert [record.getMessage() for record in caplog.records] == ["Fetching the weights"]
