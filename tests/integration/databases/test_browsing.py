"""Queries for people on every database: read only, in time, and by any part of a text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

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
from tests.support.fixtures.stored_documents import CONFIG, OTHER, REF, TASK, Make, page, read

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
            session, rows, wanted, order="score", below=0.8, after=None, limit=1, budget_s=60
        )
        assert [each["document_id"] for each in pages] == [ids["scan.pdf"]]
        pages, after = queue.review_queue(
            session, rows, wanted, order="score", below=0.8, after=after, limit=1, budget_s=60
        )
        assert [each["document_id"] for each in pages] == [ids["invoice.pdf"]]
        assert after is None
        found_page = details.find_page(session, rows, ids["hostile.pdf"], 1)
        assert found_page is not None
        assert len(found_page["regions"][1]["text"]) > 380_000

    reader.transaction(work, patient=False)


def test_the_queue_has_the_pages_that_the_views_call_current(
    store: Store, reader: Database, ledger: Make
) -> None:
    """The rows with the greatest ids are of a version that was read late, and of another configuration."""
    poor = page(1, score=0.5)
    large = replace(CONFIG, resolution="large")
    older = replace(
        REF, version="v0", version_id="v0", last_modified=datetime(2026, 1, 1, tzinfo=UTC)
    )
    read(ledger(), poor)
    read(ledger(), poor, ref=older)
    other = replace(REF, uri="s3://bucket/other.pdf")
    read(ledger(), poor, ref=other)
    read(ledger(config=large), poor, ref=other)

    def queued() -> list[tuple[Any, ...]]:
        wanted = DocumentFilter(visible=Visible(frozenset({TASK.dag_id or ""})))
        pages, after = reader.transaction(
            lambda session: queue.review_queue(
                session,
                reader.rows,
                wanted,
                order="score",
                below=0.8,
                after=None,
                limit=9,
                budget_s=60,
            )
        )
        assert after is None
        with store.database.engine.connect() as connection:
            current = connection.execute(
                text("SELECT id FROM ocr_current_pages WHERE is_newest_config ORDER BY id")
            )
            assert [each["id"] for each in pages] == list(current.scalars())
            rows = text("SELECT id, uri, version, resolution FROM ocr_documents")
            by_id = {row[0]: tuple(row[1:]) for row in connection.execute(rows)}
        return [by_id[each["document_id"]] for each in pages]

    assert queued() == [(REF.uri, "v1", "small"), (other.uri, "v1", "large")]
    read(ledger(OTHER), page(1, "again", score=0.5), ref=other, overwrite=True)
    assert queued() == [(REF.uri, "v1", "small"), (other.uri, "v1", "small")]


def test_nothing_is_written_and_statements_end(store: Store, reader: Database) -> None:
    def run(statement: str) -> None:
        reader.transaction(lambda session: session.execute(text(statement)), patient=False)

    with pytest.raises(DatabaseError):
        run("DELETE FROM ocr_documents")
    with pytest.raises(DatabaseError) as slow:
        run(SLOW[reader.engine.dialect.name])
    assert slow.value.code == ErrorCode.DATABASE_SLOW
    run("SELECT count(*) FROM ocr_documents")
