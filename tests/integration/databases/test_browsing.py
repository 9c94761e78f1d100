"""Queries for people on every database: read only, in time, and by any part of a text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.airflow_support.results_database import results_engine
from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.browsing import details, documents, filters, queue
from airflow_deepseek_ocr.store.browsing.filters import DocumentFilter, Visible
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.shown_documents import OWN, fill

#: Statements that last longer than a test.
SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
    "mysql": "SELECT count(*) FROM information_schema.columns a, information_schema.columns b, "
    "information_schema.columns c",
}


@pytest.fixture
def reader(connection: str) -> Iterator[Database]:
    with closing(Database(results_engine(connection), patience_s=1, read_only_s=1)) as opened:
        yield opened


def test_lists_searches_and_the_queue(store: Store, reader: Database) -> None:
    ids = fill(store)
    wanted = DocumentFilter(visible=Visible(frozenset({OWN})))

    def work(session: Session) -> None:
        rows = reader.rows
        listing = documents.list_documents(session, rows, wanted, before=None, limit=3)
        assert [each["id"] for each in listing.documents] == [
            ids[name] for name in ("long.pdf", "scan.pdf", "hostile.pdf")
        ]
        assert listing.documents[1]["lowest_score"] == 0.1
        for name, hits in (("LETTER (", 1), ("100%_", 1), ("1__%_", 0), ("\\", 0)):
            named = DocumentFilter(visible=wanted.visible, name=name)
            found = documents.list_documents(session, rows, named, before=None, limit=3)
            assert len(found.documents) == hits, name
        found = documents.search_text(
            session, rows, wanted, "A Paragraph", before=None, limit=3, budget_s=60
        )
        assert [each["id"] for each in found.documents] == [ids["hostile.pdf"]]
        assert filters.count_by_status(session, rows, wanted) == {
            "done": 3, "partial": 1, "failed": 1
        }  # fmt: skip
        pages, after = queue.review_queue(
            session, rows, wanted, order="score", below=0.8, after=None, limit=1
        )
        assert [each["document_id"] for each in pages] == [ids["scan.pdf"]]
        pages, after = queue.review_queue(
            session, rows, wanted, order="score", below=0.8, after=after, limit=1
        )
        assert [each["document_id"] for each in pages] == [ids["invoice.pdf"]]
        assert after is None
        page = details.find_page(session, rows, ids["hostile.pdf"], 1)
        assert page is not None
        assert len(page["regions"][1]["text"]) > 380_000

    reader.transaction(work, patient=False)


def test_nothing_is_written_and_statements_end(store: Store, reader: Database) -> None:
    def run(statement: str) -> None:
        reader.transaction(lambda session: session.execute(text(statement)), patient=False)

    with pytest.raises(DatabaseError):
        run("DELETE FROM ocr_documents")
    with pytest.raises(DatabaseError) as slow:
        run(SLOW[reader.engine.dialect.name])
    assert slow.value.code == ErrorCode.DATABASE_SLOW
    run("SELECT count(*) FROM ocr_documents")
