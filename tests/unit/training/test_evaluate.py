"""The figures of an evaluation, on cases made by hand."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.grounding import parse
from training.evaluate import _overlap, _overlaps, _table_shapes, _tables_right


def regions(*boxes: str) -> tuple:  # type: ignore[type-arg]
    text = "\n".join(f"<|ref|>text<|/ref|><|det|>[[{box}]]<|/det|>\nx" for box in boxes)
    return parse(text, text_in_ref=False, width=1000, height=1000)


def test_overlap_of_two_boxes() -> None:
    assert _overlap((0, 0, 9, 9), (0, 0, 9, 9)) == 1
    assert _overlap((0, 0, 9, 9), (5, 0, 14, 9)) == pytest.approx(50 / 150)
    assert _overlap((0, 0, 9, 9), (10, 0, 19, 9)) == 0
    assert _overlap((9, 9, 0, 0), (0, 0, 9, 9)) == 0


def test_each_box_is_taken_once_and_a_missing_one_counts_nothing() -> None:
    truth = regions("0, 0, 9, 9", "0, 20, 9, 29", "0, 40, 9, 49")
    read = regions("0, 20, 9, 29", "0, 0, 9, 9")
    assert _overlaps(truth, read) == [1, 1, 0]
    assert _overlaps(truth[:1] * 2, read[1:]) == [1, 0]
    assert _overlaps((), read) == []


def test_tables_are_right_if_rows_and_cells_are() -> None:
    row = "<tr><td>a</td><td></td></tr>"
    table = f"<table>{row}{row}</table>"
    assert _table_shapes(f"x {table} y <table>{row}</table>") == [(2, 2), (2,)]
    assert _tables_right(table, table.replace(">a<", ">b<")) == [True]
    assert _tables_right(table + table, table) == [True, False]
    assert _tables_right(table, f"<table>{row}</table>") == [False]
    assert _tables_right("no table", table) == []
