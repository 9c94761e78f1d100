"""Cells, their text, and their places."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.markup.table_grid import MOST_CELLS, MOST_COLUMNS, Cell, Grid


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("12.50", "12.50"),
        (" <b>1&nbsp;234</b>,50<br/>EUR ", "1 234,50 EUR"),
        ("a &lt; b &amp; c", "a < b & c"),
        ("a<br>b</p>c", "a b c"),
        # 10 with a raised 2 is not 102.
        ("10<sup>2</sup>", "10<sup>2</sup>"),
        (r"\( x < y \)", r"\( x < y \)"),
        ('<span style="color: red">x</span>', "x"),
    ],
)
def test_text_of_a_cell(markup: str, text: str) -> None:
    assert Cell(0, 0, markup).text == text


def test_columns_beyond_the_bound_are_left_out() -> None:
    grid = Grid()
    grid.start_row()
    grid.add(columns=MOST_COLUMNS - 1)
    grid.add(columns=5)
    grid.add()
    grid.end_row()
    table = grid.table()
    assert [(cell.column, cell.column_span) for cell in table.cells] == [(0, 999), (999, 1)]
    assert (table.column_count, table.is_truncated, table.widths) == (MOST_COLUMNS, True, (1005,))


def test_cells_beyond_the_bound_are_left_out() -> None:
    grid = Grid()
    for _ in range(MOST_CELLS // 2 + 1):
        grid.start_row()
        grid.add()
        grid.add()
        grid.end_row()
    table = grid.table()
    assert (len(table.cells), table.row_count, table.is_truncated) == (MOST_CELLS, 5001, True)


def test_rows_of_different_widths_are_ragged() -> None:
    grid = Grid()
    for columns in (2, 1):
        grid.start_row()
        for _ in range(columns):
            grid.add()
            grid.write("x")
        grid.end_row()
    assert grid.table().is_ragged
    assert grid.table().texts() == [["x", "x"], ["x", ""]]
