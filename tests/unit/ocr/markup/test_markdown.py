"""Regions as Markdown."""

from __future__ import annotations

import re

import pytest

from airflow_deepseek_ocr.ocr.markup.grounding import parse
from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.results import Region

#: Written by the small checkpoint about demo/documents/letter.tiff, page 1, with the prompt ``ocr`` in small.
RECORDED_OCR = """\
<|ref|>Dear reader<|/ref|><|det|>[[67, 87, 421, 129]]<|/det|>
<|ref|>We have found your order.<|/ref|><|det|>[[64, 211, 600, 251]]<|/det|>
<|ref|>It will come on May 21, 2026<|/ref|><|det|>[[65, 265, 657, 303]]<|/det|>
<|ref|>The price is $89.50 with tax.<|/ref|><|det|>[[63, 317, 638, 356]]<|/det|>
"""


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


def test_the_output_of_the_prompt_ocr_is_text_without_markup() -> None:
    """Deleting each reference with its box, as the published scripts do, leaves line breaks only."""
    assert re.sub(r"<\|ref\|>.*?<\|/det\|>", "", RECORDED_OCR).strip() == ""
    regions = parse(RECORDED_OCR, text_in_ref=True, width=640, height=640)
    assert [len(region.boxes) for region in regions] == [1, 1, 1, 1]
    assert to_markdown(regions, text_in_ref=True).splitlines() == [
        "Dear reader",
        "We have found your order.",
        "It will come on May 21, 2026",
        "The price is $89.50 with tax.",
    ]
