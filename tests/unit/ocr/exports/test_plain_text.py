"""Plain text."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.exports.plain_text import document_text, plain
from tests.support.exported import TABLE, sample


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("# Order **7**", "Order 7"),
        ("- one\n- two", "one\ntwo"),
        (TABLE, "Item\tEUR\nPaper\t1,50"),
        ("a &amp; b<br>c", "a & b\nc"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("snake_case 2 * 3 * 4", "snake_case 2 * 3 * 4"),
        ("<!-- image -->\n\ntext", "text"),
        ("x\n\n\n\n\ny", "x\n\ny"),
    ],
)
def test_marks_and_tags_go_and_text_stays(marked: str, expected: str) -> None:
    assert plain(marked) == expected


def test_pages_are_separated_by_form_feeds_and_rejected_text_is_left_out() -> None:
    assert document_text(sample()) == "Order 7\n\nItem\tEUR\nPaper\t1,50\n\f\n"


def test_a_long_broken_tag_takes_no_quadratic_time() -> None:
    text = "<td " * 50_000
    assert plain(text).count("<td") == 50_000
