"""HTML tables in model output."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.markup.html_tables import html_tables


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
    found = html_tables(f"before<table>{table}</table>after")
    assert [table.widths for table in found.tables] == [widths]
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
    found = html_tables(f"before<table border='1'>{table}</table>after")
    assert found.broken == found.ragged == 0
    assert set(found.tables[0].widths) == {1}


def test_a_caption_is_text_outside_of_cells() -> None:
    found = html_tables("<table><caption>Sales</caption><tr><td>a</td></tr></table>")
    assert "Sales" in found.outside
    assert found.rows == ("a",)
    assert html_tables("<table><caption>Sales<tr><td>a</td></tr></table>").broken
    assert html_tables("<caption>Sales</caption>").broken


@pytest.mark.parametrize("piece", ["<td ", '<td "', "<td '>", "<!--", '<table a="b"', "<thead x='"])
def test_time_is_linear_in_broken_tags(piece: str) -> None:
    html_tables(piece * 20_000)


def test_rows_are_the_text_of_their_cells() -> None:
    found = html_tables(
        "<table><tr><td>a</td><td>b\nc</td></tr></table><table><tr><th>d</th></tr></table>"
    )
    assert found.rows == ("a\tb c", "d")
    assert found.ragged == found.broken == 0
    assert html_tables("no table").outside == "no table"


def test_each_table_with_rows_of_different_widths_counts() -> None:
    ragged = "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"
    assert html_tables(ragged * 3 + "<table><tr><td>a</td></tr></table>").ragged == 3


def cells(text: str) -> list[tuple[object, ...]]:
    """Return place, spans and text of each cell of the first table; headers are marked."""
    return [
        (
            cell.row,
            cell.column,
            cell.row_span,
            cell.column_span,
            cell.text + "!" * cell.is_header,
        )
        for cell in html_tables(text).tables[0].cells
    ]


def test_spans_move_the_cells_after_them() -> None:
    found = cells(
        '<table><tr><th rowspan="2">a</th><th colspan=2>b</th></tr><tr><td>c</td><td>d</td></tr>'
        '<tr><td>e</td><td rowspan="9">f</td><td>g</td></tr></table>'
    )
    assert found == [
        (0, 0, 2, 1, "a!"),
        (0, 1, 1, 2, "b!"),
        (1, 1, 1, 1, "c"),
        (1, 2, 1, 1, "d"),
        (2, 0, 1, 1, "e"),
        # No cell reaches beyond the table.
        (2, 1, 1, 1, "f"),
        (2, 2, 1, 1, "g"),
    ]


def test_cells_of_a_head_are_headers() -> None:
    assert cells(
        "<table><thead><tr><td>a</td></tr></thead><tbody><tr><td>b</td></tr></tbody></table>"
    ) == [(0, 0, 1, 1, "a!"), (1, 0, 1, 1, "b")]


def test_a_table_within_a_table_is_one_of_its_own() -> None:
    inner = "<table><tr><td>1</td><td>2</td></tr></table>"
    found = html_tables(f"x<table><tr><td>a {inner}b</td><td>c</td></tr></table>y")
    assert [table.texts() for table in found.tables] == [[["a b", "c"]], [["1", "2"]]]
    assert found.broken == 1
    assert [each for each in found.pieces if isinstance(each, str)] == ["x", "y"]
    deep = html_tables("<table><tr><td>" * 50 + "</td></tr></table>" * 50)
    assert len(deep.tables) == 5


@pytest.mark.parametrize(
    "piece",
    ["<table><tr><td>", "<td colspan=999 rowspan=999>", "</caption>", "<tr>", "</td></tr><tr><td>"],
)
def test_time_is_linear_in_hostile_tables(piece: str) -> None:
    found = html_tables("<table><tr><td rowspan=999 colspan=999>" + piece * 20_000)
    assert sum(len(table.cells) for table in found.tables) <= 20_000
