"""Rows that repeat at the end of tables."""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.quality.table_checks import rows_repeated_at_end


def test_equal_rows_at_the_end_are_counted() -> None:
    assert rows_repeated_at_end(("a", "b", "b", "b")) == 2
    assert rows_repeated_at_end(("1", "1", "1")) == 0
    assert rows_repeated_at_end(()) == 0
