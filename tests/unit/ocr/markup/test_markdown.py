"""Regions as Markdown."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.results import Region


def test_blocks_have_an_empty_line_between_them_and_lines_none() -> None:
    regions = [Region("title", "# One"), Region("text", "two")]
    assert to_markdown(regions, text_in_ref=False) == "# One\n\ntwo"
    assert to_markdown(regions, text_in_ref=True) == "# One\ntwo"
    assert to_markdown([], text_in_ref=False) == ""


@pytest.mark.parametrize("label", ["image", "figure"])
def test_pictures_without_text_leave_a_placeholder(label: str) -> None:
    assert to_markdown([Region(label, "")], text_in_ref=False) == "<!-- image -->"
    assert to_markdown([Region(label, "a chart")], text_in_ref=False) == "a chart"


def test_other_regions_without_text_leave_nothing() -> None:
    regions = [Region("text", "one"), Region("text", ""), Region("text", "two")]
    assert to_markdown(regions, text_in_ref=False) == "one\n\ntwo"
