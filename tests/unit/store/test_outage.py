"""The log of an outage of the database."""

from __future__ import annotations

import logging
import re

import pytest

from airflow_deepseek_ocr.store.outage import Outage

ERROR = OSError("connection\nrefused")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_outage_is_logged_once_with_its_start_and_its_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage(60, clock)
    for _ in range(5):
        outage.failed(ERROR, patient=True)
        clock.now += 13
    outage.ended()
    outage.ended()
    warning, info = caplog.records
    assert warning.levelname == "WARNING"
    assert re.match(
        r"The results database has been away since \d\d:\d\d:\d\d UTC \(OSError: connection refused\)\. "
        r"Finished pages wait in this task, which tries for up to 60 s",
        warning.getMessage(),
    )
    assert info.getMessage() == "The results database is back after 65 s; the task continues."


def test_a_conflict_that_passes_within_a_second_is_not_logged(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage(60, clock)
    for _ in range(3):
        outage.failed(ERROR, patient=True)
        clock.now += 0.3
    outage.ended()
    clock.now += 60
    outage.failed(ERROR, patient=True)
    outage.ended()
    assert not caplog.records


def test_a_renewal_that_is_not_tried_again_begins_an_outage_and_logs_nothing(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage(60, clock)
    outage.failed(ERROR, patient=False)
    clock.now += 30
    outage.failed(ERROR, patient=False)
    assert not caplog.records
    outage.failed(ERROR, patient=True)
    assert "has been away since" in caplog.text
