"""All tables of a text, in their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_deepseek_ocr.ocr.markup.page_tables import page_tables

HTML = "<table><tr><td>h</td></tr></table>"
PIPES = "|p|\n|-|\n|q|\n"


def test_html_and_markdown_come_in_the_order_of_the_text() -> None:
    text = f"{PIPES}\n{HTML}\n{PIPES}<table></table><table><tr></tr></table>"
    assert [table.texts()[0] for table in page_tables(text)] == [["p"], ["h"], ["p"]]


def test_plain_text_has_none() -> None:
    assert list(page_tables("no table")) == []


_PIECES = ["<table>", "</table>", "<tr>", "</tr>", "<td colspan=2>", '<td rowspan="3">', "</td>"]


@given(st.lists(st.sampled_from([*_PIECES, "<th>", "</th>", "a|b\n", "|-|-|\n", "\n", "x"])))
def test_cells_never_overlap_and_stay_inside(pieces: list[str]) -> None:
    for table in page_tables("".join(pieces)):
        places = {(cell.row, cell.column) for cell in table.cells}
        assert len(places) == len(table.cells)
        for cell in table.cells:
            assert cell.row + cell.row_span <= table.row_count
            assert cell.column + cell.column_span <= table.column_count
