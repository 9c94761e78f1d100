"""Lists of documents, by key and by text."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_deepseek_ocr.store.browsing import documents
from airflow_deepseek_ocr.store.browsing.documents import Listing, list_documents, search_text
from airflow_deepseek_ocr.store.browsing.filters import DocumentFilter, Visible
from tests.support.fixtures.shown_documents import FOREIGN, OWN

ALL = DocumentFilter(visible=Visible(frozenset({OWN, FOREIGN}), without_dag=True))


def names(listing: Listing) -> list[str]:
    return [each["uri"].rpartition("/")[2] for each in listing.documents]


def test_pages_of_the_list_follow_each_other(shown: SimpleNamespace) -> None:
    found, before = [], None
    for _ in range(4):
        listing = list_documents(shown.session, shown.rows, ALL, before=before, limit=2)
        found += names(listing)
        before = listing.next_before
        if before is None:
            break
    assert found == sorted(shown.ids, key=lambda name: -shown.ids[name])
    assert list_documents(shown.session, shown.rows, ALL, before=1, limit=2).documents == []


def test_a_search_in_text_ends_after_its_time_and_can_be_continued(
    shown: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_WINDOW", 2)

    def search(before: int | None, budget_s: float) -> Listing:
        return search_text(
            shown.session, shown.rows, ALL, "A PARAGRAPH", before=before, limit=5, budget_s=budget_s
        )

    assert names(search(None, 60)) == ["hostile.pdf"]
    first = search(None, -1)
    assert (names(first), first.is_partial) == ([], True)
    second = search(first.next_before, -1)
    assert names(second) == []
    third = search(second.next_before, -1)
    assert names(third) == ["hostile.pdf"]


def test_a_search_returns_a_page_of_hits_at_a_time(shown: SimpleNamespace) -> None:
    listing = search_text(
        shown.session, shown.rows, ALL, "invoice 4711", before=None, limit=3, budget_s=60
    )
    assert names(listing) == ["by-hand.pdf", "secret.pdf", "long.pdf"]
    assert listing.next_before == shown.ids["long.pdf"]
    assert not listing.is_partial
