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


@pytest.mark.parametrize(
    "table",
    [
        "<caption>Sales</caption><tr><td>a</td></tr>",
        "<CAPTION align=top>Sales <b>2026</b></CAPTION><tr><td>a</td></tr>",
        "<colgroup><col span='2'><col style='width: 3em'/></colgroup><tr><td>a</td></tr>",
        "<col><tr><td>a</td></tr>",
        '<thead style="background: #eee" class=x><tr><th scope="col">a</th></tr></thead>',
        "<tbody id=b><tr><td>a</td></tr></tbody><tfoot ><tr><td>a</td></tr></tfoot>",
        "<tr><td title=\"a > b\" data-x='c > d'>a</td></tr>",
        f'<tr style="{"color: red; " * 60}"><td nowrap>a</td></tr>',
        "<!-- rows --><tr><td>a</td></tr>",
        "<tr><td>a<br>b <sup>2</sup><table-of>c</table-of></td></tr>",
        "<tr><td title=don't>a</td></tr>",
    ],
)
def test_every_element_and_attribute_of_a_table(table: str) -> None:
    found = find_tables(f"before<table border='1'>{table}</table>after")
    assert found.broken == found.ragged == 0
    assert set(found.widths[0]) == {1}


def test_a_caption_is_text_outside_of_cells() -> None:
    found = find_tables("<table><caption>Sales</caption><tr><td>a</td></tr></table>")
    assert "Sales" in found.outside
    assert found.rows == ("a",)
    assert find_tables("<table><caption>Sales<tr><td>a</td></tr></table>").broken
    assert find_tables("<caption>Sales</caption>").broken


@pytest.mark.parametrize("piece", ["<td ", '<td "', "<td '>", "<!--", '<table a="b"', "<thead x='"])
def test_time_is_linear_in_broken_tags(piece: str) -> None:
    find_tables(piece * 20_000)


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
