"""HTML tables in model output."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.quality.table_checks import find_tables, rows_repeated_at_end


@pytest.mark.parametrize(
    ("table", "widths", "broken"),
    [
        ("<tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr>", (2, 2), 0),
        ("<tr><td>a</td><td>b</td></tr><tr><td>c</td></tr>", (2, 1), 0),
        ('<tr><td colspan="2">a</td></tr><tr><td>c</td><td>d</td></tr>', (2, 2), 0),
        ('<tr><td rowspan="2">a</td><td>b</td></tr><tr><td>d</td></tr>', (2, 2), 0),
        ("<thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody>", (1, 1), 0),
        ("<tr><td>a</td></tr><tr><td>b</tr>", (1, 1), 1),
        ("<tr><td>a</td></tr>stray<tr><td>b</td></tr>", (1, 1), 1),
        ("<td>a</td>", (), 3),
    ],
)
def test_tables(table: str, widths: tuple[int, ...], broken: int) -> None:
    found = find_tables(f"before<table>{table}</table>after")
    assert found.widths == (widths,)
    assert found.broken == broken
    assert found.outside == "before\nafter"


def test_equal_rows_at_the_end_are_counted() -> None:
    assert rows_repeated_at_end(("a", "b", "b", "b")) == 2
    assert rows_repeated_at_end(("1", "1", "1")) == 0
    assert rows_repeated_at_end(()) == 0


def test_rows_are_the_text_of_their_cells() -> None:
    found = find_tables(
        "<table><tr><td>a</td><td>b\nc</td></tr></table><table><tr><th>d</th></tr></table>"
    )
    assert found.rows == ("a\tb c", "d")
    assert found.ragged == found.broken == 0
    assert find_tables("no table").outside == "no table"


def test_each_table_with_rows_of_different_widths_counts() -> None:
    ragged = "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"
    assert find_tables(ragged * 3 + "<table><tr><td>a</td></tr></table>").ragged == 3
