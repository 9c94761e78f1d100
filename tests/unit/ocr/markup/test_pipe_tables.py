"""Tables in Markdown."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.markup.pipe_tables import pipe_tables


def texts(text: str) -> list[list[list[str]]]:
    return [table.texts() for table in pipe_tables(text)]


def test_a_table_with_its_header() -> None:
    text = "Items\n\n| a | b |\n|:--|--:|\n| 1 \\| 2 | **x** |\n| 3 | |\n\nafter | it"
    assert texts(text) == [[["a", "b"], ["1 | 2", "**x**"], ["3", ""]]]
    (table,) = pipe_tables(text)
    assert [cell.is_header for cell in table.cells] == [True, True, False, False, False, False]


def test_bars_at_the_ends_are_optional() -> None:
    assert texts("a | b\n--- | ---\n1 | 2\n3 | 4") == [[["a", "b"], ["1", "2"], ["3", "4"]]]


def test_tables_follow_each_other() -> None:
    assert texts("|a|\n|-|\n|1|\n\n|b|\n|-|\n|2|\n") == [[["a"], ["1"]], [["b"], ["2"]]]


def test_rows_of_different_widths_are_ragged() -> None:
    (table,) = pipe_tables("|a|b|\n|-|-|\n|1|\n|1|2|3|\n")
    assert table.is_ragged
    assert table.texts() == [["a", "b", ""], ["1", "", ""], ["1", "2", "3"]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|",
        "a | b",
        "a | b\n--- | --- | ---",
        "---|---\n---",
        "```\n|a|\n|-|\n```",
        "x\n|-|\n|1|",
    ],
)
def test_text_without_a_table(text: str) -> None:
    assert texts(text) == []


def test_time_is_linear() -> None:
    assert texts("|-" * 200_000) == []
    assert len(texts("|a|\n|-|\n\n" * 20_000)) == 20_000
