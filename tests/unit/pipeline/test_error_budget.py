"""How many pages may fail."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.pipeline.error_budget import ErrorBudget


@pytest.mark.parametrize(
    ("setting", "failed", "pages", "exceeded"),
    [
        (0.004, 1, 250, False),
        (0.004, 1, 249, True),
        (0.004, 0, 1, False),
        (0.0, 1, 1000, True),
        (1.0, 7, 7, False),
        (1, 1, 1, False),
        (1, 2, 1000, True),
        (0, 1, 1000, True),
        (None, 7, 7, False),
        ("0.5", 5, 10, False),
        ("0.5", 6, 10, True),
        ("3", 4, 1000, True),
        ("None", 7, 7, False),
        ("", 7, 7, False),
    ],
)
def test_budget(setting: Any, failed: int, pages: int, exceeded: bool) -> None:
    assert ErrorBudget.of(setting).is_exceeded(failed, pages) is exceeded


@pytest.mark.parametrize("setting", [-1, -0.1, 1.01, True, "many", "-1", "1.5", float("nan"), []])
def test_what_is_no_budget(setting: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"a share such as 0\.004"):
        ErrorBudget.of(setting)
