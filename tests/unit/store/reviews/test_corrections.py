"""Corrections of pages and regions, and what a person may not overwrite."""

from __future__ import annotations

import pickle

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, DeepSeekOCRError, ErrorCode
from airflow_deepseek_ocr.store.pages.page_rows import MAX_TEXT
from airflow_deepseek_ocr.store.reviews.corrections import (
    ReviewConflictError,
    accept_page,
    correct_page,
    correct_region,
)
from tests.unit.store.reviews.conftest import TABLE, Reviewed


def test_a_corrected_region_changes_the_page_and_its_tables(reviewed: Reviewed) -> None:
    table = reviewed.regions[1]
    right = TABLE.replace("1", "7")
    review = correct_region(reviewed.database, table.id, right, by="ada", seen=reviewed.seen())
    assert (review.reviewed_text, review.reviewed_by) == (f"Title\n\n{right}", "ada")
    page, region = reviewed.page, reviewed.regions[1]
    assert (page.markdown, region.text) == (f"Title\n\n{TABLE}", TABLE)
    assert (region.reviewed_text, region.reviewed_by) == (right, "ada")
    assert page.reviewed_at == review.reviewed_at is not None
    assert reviewed.cells == ["7"]
    undone = correct_region(
        reviewed.database, table.id, None, by="ada", seen=reviewed.seen(region.reviewed_at)
    )
    assert (undone.reviewed_text, undone.reviewed_by, undone.reviewed_at) == (None, None, None)
    assert reviewed.cells == ["1"]


def test_a_page_is_corrected_as_a_whole(reviewed: Reviewed) -> None:
    first = correct_region(
        reviewed.database, reviewed.regions[0].id, "Heading", by="ada", seen=reviewed.seen()
    )
    whole = correct_page(
        reviewed.database,
        first.page_id,
        "|a|\n|-|\n|2|",
        by="bob",
        seen=reviewed.seen(first.reviewed_at),
    )
    assert (whole.reviewed_text, whole.reviewed_by) == ("|a|\n|-|\n|2|", "bob")
    assert reviewed.cells == ["a", "2"]
    with pytest.raises(ReviewConflictError, match="as a whole"):
        correct_region(
            reviewed.database, reviewed.regions[1].id, "x", by="ada", seen=reviewed.seen()
        )
    back = correct_page(
        reviewed.database, first.page_id, None, by="bob", seen=reviewed.seen(whole.reviewed_at)
    )
    # The corrected region is left.
    assert back.reviewed_text == f"Heading\n\n{TABLE}"


def test_a_page_is_accepted(reviewed: Reviewed) -> None:
    review = accept_page(reviewed.database, reviewed.page.id, by="ada", seen=reviewed.seen())
    assert (review.accepted_by, review.reviewed_at) == ("ada", None)
    assert review.accepted_at is not None
    back = accept_page(
        reviewed.database, reviewed.page.id, by="ada", seen=reviewed.seen(), is_accepted=False
    )
    assert (back.accepted_by, back.accepted_at) == (None, None)


def test_what_another_person_did_in_between_is_kept(reviewed: Reviewed) -> None:
    region = reviewed.regions[0]
    correct_region(reviewed.database, region.id, "first", by="ada", seen=reviewed.seen())
    for change in (
        lambda: correct_region(
            reviewed.database, region.id, "second", by="bob", seen=reviewed.seen()
        ),
        lambda: correct_page(
            reviewed.database, reviewed.page.id, "x", by="bob", seen=reviewed.seen()
        ),
        lambda: accept_page(reviewed.database, reviewed.page.id, by="bob", seen=reviewed.seen()),
    ):
        with pytest.raises(ReviewConflictError, match="Load it again") as caught:
            change()
        assert caught.value.code is ErrorCode.REVIEW_CONFLICT
    assert reviewed.regions[0].reviewed_text == "first"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, DeepSeekOCRError)
    assert str(copy) == str(caught.value)


def test_a_page_that_was_read_again_is_not_changed(reviewed: Reviewed) -> None:
    page, region, seen = reviewed.page, reviewed.regions[0], reviewed.seen()
    reviewed.read("Another", "text")
    with pytest.raises(ReviewConflictError, match="read again"):
        correct_page(reviewed.database, page.id, "x", by="ada", seen=seen)
    with pytest.raises(ReviewConflictError, match="read again"):
        correct_region(reviewed.database, region.id, "x", by="ada", seen=seen)


def test_a_text_that_is_too_long_is_refused(reviewed: Reviewed) -> None:
    with pytest.raises(ConfigurationError, match="1,000,001 characters"):
        correct_page(
            reviewed.database,
            reviewed.page.id,
            "x" * (MAX_TEXT + 1),
            by="ada",
            seen=reviewed.seen(),
        )
