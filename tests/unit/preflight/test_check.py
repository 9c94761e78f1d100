"""Results of checks."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from airflow_deepseek_ocr.preflight.check import Check, Level


def test_levels_are_printed_as_words() -> None:
    """The command line aligns them in a column of eight characters."""
    assert [f"{level:<8}" for level in Level] == ["ok      ", "warning ", "failure "]


def test_a_result_is_a_value() -> None:
    check = Check("gpu", Level.OK, "NVIDIA H100.")
    assert check == Check("gpu", Level.OK, "NVIDIA H100.")
    with pytest.raises(FrozenInstanceError):
        check.level = Level.FAILURE  # type: ignore[misc]
