"""Why documents failed, counted."""

from __future__ import annotations

from airflow_deepseek_ocr.pipeline.reports.reasons import Reason, Reasons


def test_reasons_are_counted_and_have_the_first_example() -> None:
    reasons = Reasons()
    for code, example in (("a", "1"), ("b", "2"), ("b", "3"), ("c", "4"), ("b", "5")):
        reasons.add(code, example, f"error of {example}")
    assert list(reasons.most_common(2)) == [
        Reason("b", 3, "2", "error of 2"),
        Reason("a", 1, "1", "error of 1"),
    ]
    assert len(reasons) == 3


def test_codes_without_end_are_bounded() -> None:
    reasons = Reasons()
    for number in range(5_000):
        reasons.add(f"code {number}", "", "")
    assert len(reasons) == 1000
