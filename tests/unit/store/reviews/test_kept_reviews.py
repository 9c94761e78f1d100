"""Reviews of pages that are read again."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.store.reviews.corrections import (
    accept_page,
    correct_page,
    correct_region,
)
from tests.unit.store.reviews.conftest import TABLE, Reviewed


def test_the_same_text_keeps_all(reviewed: Reviewed) -> None:
    region = reviewed.regions[0]
    review = correct_region(reviewed.database, region.id, "Heading", by="ada", seen=reviewed.seen())
    accept_page(reviewed.database, review.page_id, by="bob", seen=reviewed.seen(review.reviewed_at))
    before = reviewed.page
    reviewed.read("Title", TABLE)
    after = reviewed.page
    assert after.created_at != before.created_at
    assert after.reviewed_text == before.reviewed_text == f"Heading\n\n{TABLE}"
    assert (after.reviewed_at, after.accepted_by) == (before.reviewed_at, "bob")
    assert [each.reviewed_by for each in reviewed.regions] == ["ada", None]


def test_a_region_with_another_text_loses_its_correction(
    reviewed: Reviewed, caplog: pytest.LogCaptureFixture
) -> None:
    for number, text in enumerate(("Heading", TABLE.replace("1", "7"))):
        correct_region(
            reviewed.database, reviewed.regions[number].id, text, by="ada", seen=reviewed.seen()
        )
    accept_page(
        reviewed.database, reviewed.page.id, by="ada", seen=reviewed.seen(reviewed.page.reviewed_at)
    )
    reviewed.read("Titel", TABLE)
    assert [each.reviewed_text for each in reviewed.regions] == [None, TABLE.replace("1", "7")]
    page = reviewed.page
    assert page.reviewed_text == "Titel\n\n" + TABLE.replace("1", "7")
    assert page.accepted_at is None
    assert reviewed.cells == ["7"]
    assert "1 of its corrected regions" in caplog.text


def test_a_page_that_was_corrected_as_a_whole_keeps_its_text(reviewed: Reviewed) -> None:
    page = reviewed.page
    whole = correct_page(reviewed.database, page.id, TABLE, by="ada", seen=reviewed.seen())
    accept_page(reviewed.database, page.id, by="ada", seen=reviewed.seen(whole.reviewed_at))
    reviewed.read("nothing", "in common")
    after = reviewed.page
    assert (after.text, after.reviewed_text) == ("nothing\n\nin common", TABLE)
    assert after.accepted_by == "ada"
    assert reviewed.cells == ["1"]


def test_an_accepted_page_with_another_text_needs_a_new_review(reviewed: Reviewed) -> None:
    accept_page(reviewed.database, reviewed.page.id, by="ada", seen=reviewed.seen())
    reviewed.read("another", "text")
    assert (reviewed.page.accepted_at, reviewed.page.reviewed_at) == (None, None)
