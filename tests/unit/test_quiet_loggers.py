"""Loggers are quieter for a while, and as before afterwards."""

from __future__ import annotations

import logging

import pytest

from airflow_deepseek_ocr.quiet_loggers import quiet_loggers


def test_messages_below_the_level_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    parent, child = logging.getLogger("quiet"), logging.getLogger("quiet.child")
    with quiet_loggers("quiet", level=logging.ERROR):
        child.warning("dropped")
        child.error("kept")
    child.warning("again")
    assert [record.getMessage() for record in caplog.records] == ["kept", "again"]
    assert parent.level == logging.NOTSET


def test_levels_are_restored_after_an_error() -> None:
    logger = logging.getLogger("quiet.two")
    logger.setLevel(logging.INFO)
    with pytest.raises(ValueError, match="inside"), quiet_loggers("quiet.two", "quiet.three"):
        assert logger.level == logging.WARNING
        raise ValueError("inside")
    assert logger.level == logging.INFO
    assert logging.getLogger("quiet.three").level == logging.NOTSET
