"""The Markdown of pages with corrected regions."""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.results import PageStatus
from airflow_deepseek_ocr.store.reviews.corrected_text import (
    ReviewedRegion,
    are_lines,
    compose,
    is_corrected_as_a_whole,
    texts_with_tables,
)

REGIONS = (
    ReviewedRegion(0, "title", "# A"),
    ReviewedRegion(1, "image", ""),
    ReviewedRegion(2, "text", "b", "B"),
)


def test_regions_are_joined_as_the_prompt_asks() -> None:
    assert compose(REGIONS, are_lines=False) == "# A\n\n<!-- image -->\n\nB"
    assert compose(REGIONS, are_lines=True) == "# A\n<!-- image -->\nB"
    assert compose(REGIONS[:2], are_lines=False) is None


def test_regions_are_lines_or_blocks() -> None:
    assert not are_lines("markdown", PageStatus.OK)
    assert are_lines("ocr", PageStatus.OK)
    assert are_lines("markdown", PageStatus.TEXT_LAYER)


def test_a_text_that_differs_from_the_regions_is_a_whole() -> None:
    assert not is_corrected_as_a_whole(None, REGIONS, are_lines=False)
    assert not is_corrected_as_a_whole(compose(REGIONS, are_lines=False), REGIONS, are_lines=False)
    assert is_corrected_as_a_whole("else", REGIONS, are_lines=False)
    assert is_corrected_as_a_whole("else", REGIONS[:2], are_lines=False)


def test_texts_with_tables() -> None:
    assert texts_with_tables(REGIONS, None, PageStatus.OK) == [(0, "# A"), (1, ""), (2, "B")]
    # A person may have added markup to embedded text.
    assert texts_with_tables(REGIONS, None, PageStatus.TEXT_LAYER) == [(2, "B")]
    assert texts_with_tables(REGIONS, "all", PageStatus.TEXT_LAYER) == [(None, "all")]
