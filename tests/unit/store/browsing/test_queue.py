"""The queue of pages to review."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from airflow_deepseek_ocr.store.browsing import queue
from airflow_deepseek_ocr.store.browsing.filters import DocumentFilter, Visible
from airflow_deepseek_ocr.store.browsing.queue import QueuePlace, review_queue
from tests.support.fixtures.shown_documents import FOREIGN, OWN

ALL = DocumentFilter(visible=Visible(frozenset({OWN, FOREIGN})))


def places(shown: SimpleNamespace, below: float = 0.8, limit: int = 50) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    after = None
    while True:
        pages, after = review_queue(
            shown.session,
            shown.rows,
            ALL,
            order="score",
            below=below,
            after=after,
            limit=limit,
            budget_s=60,
        )
        found += [(each["document_id"], each["page_number"]) for each in pages]
        if after is None:
            return found


def test_the_worst_first_a_page_at_a_time(shown: SimpleNamespace) -> None:
    bad = [(shown.ids["scan.pdf"], 1), (shown.ids["invoice.pdf"], 2)]
    assert places(shown) == bad
    assert places(shown, limit=1) == bad
    everything = places(shown, below=1.5, limit=3)
    assert everything[:2] == bad
    assert len(everything) == len(set(everything)) == 67


def test_a_search_that_takes_too_long_is_continued_from_its_place(
    shown: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_WINDOW", 2)
    seen: list[int] = []
    calls, after = 0, None
    while True:
        pages, after = review_queue(
            shown.session,
            shown.rows,
            ALL,
            order="score",
            below=1.5,
            after=after,
            limit=50,
            budget_s=0,
        )
        seen += [each["id"] for each in pages]
        calls += 1
        if after is None:
            break
    assert calls > 30
    assert len(seen) == len(set(seen)) == 67


def test_accepted_corrected_and_replaced_pages_are_left_out(shown: SimpleNamespace) -> None:
    page, document = shown.rows.page, shown.rows.document
    now = datetime.now(UTC)
    scan, invoice = shown.ids["scan.pdf"], shown.ids["invoice.pdf"]
    changes = (
        (update(page).where(page.document_id == scan).values(accepted_at=now), [(invoice, 2)]),
        (update(page).where(page.document_id == scan).values(reviewed_at=now), [(invoice, 2)]),
        (
            update(document)
            .where(document.id == shown.ids["long.pdf"])
            .values(uri="s3://documents/2026/scan.pdf"),
            [(invoice, 2)],
        ),
        # Without any output a page comes first.
        (
            update(page)
            .where(page.document_id == invoice, page.page_number == 2)
            .values(score=None),
            [(invoice, 2), (scan, 1)],
        ),
    )
    for statement, expected in changes:
        with shown.session.begin_nested() as change:
            shown.session.execute(statement)
            assert places(shown, limit=1) == expected
            change.rollback()


def test_a_place_is_text_and_back() -> None:
    for place in (QueuePlace(None, 3), QueuePlace(0.1, 4), QueuePlace(1 / 3, 2**40)):
        assert QueuePlace.parse(str(place)) == place
    with pytest.raises(ValueError):
        QueuePlace.parse("nothing")
