"""Which documents a person may see, and asks for."""

from __future__ import annotations

from types import SimpleNamespace

from sqlalchemy import select

from airflow_deepseek_ocr.store.browsing import filters
from airflow_deepseek_ocr.store.browsing.filters import (
    DocumentFilter,
    Visible,
    count_by_status,
    dag_ids,
)
from tests.support.fixtures.shown_documents import FOREIGN, OWN


def seen(shown: SimpleNamespace, visible: Visible) -> set[str]:
    document = shown.rows.document
    found = shown.session.scalars(select(document.uri).where(visible.condition(document)))
    return {uri.rpartition("/")[2] for uri in found}


def test_only_documents_of_the_given_dags_are_visible(shown: SimpleNamespace) -> None:
    assert seen(shown, Visible(frozenset())) == set()
    assert seen(shown, Visible(frozenset({FOREIGN}))) == {"secret.pdf"}
    assert seen(shown, Visible(frozenset(), without_dag=True)) == {"by-hand.pdf"}
    assert len(seen(shown, Visible(frozenset({OWN, FOREIGN}), without_dag=True))) == 7


def test_the_dags_that_have_documents(shown: SimpleNamespace) -> None:
    assert dag_ids(shown.session, shown.rows) == {OWN, FOREIGN, None}


def test_counts_leave_the_status_out_and_have_a_bound(
    shown: SimpleNamespace, monkeypatch: object
) -> None:
    wanted = DocumentFilter(visible=Visible(frozenset({OWN})), status="failed")
    counts = count_by_status(shown.session, shown.rows, wanted)
    assert counts == {"done": 3, "partial": 1, "failed": 1}
    monkeypatch.setattr(filters, "MAX_COUNT", 2)  # type: ignore[attr-defined]
    assert sum(count_by_status(shown.session, shown.rows, wanted).values()) == 3
