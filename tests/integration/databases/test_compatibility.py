"""An older version of the package works on the tables of a newer one, and the other way round."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import Deleted, forget
from airflow_deepseek_ocr.store.leases import AlreadyFinal
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.migrate import Migrations
from airflow_deepseek_ocr.store.names import VERSIONS
from airflow_deepseek_ocr.store.results_store import KnownVersion, State, Store
from tests.support.fixtures.older_tables import drop_tables, execute
from tests.support.fixtures.stored_documents import (
    ACCESS_DENIED,
    CONFIG,
    OTHER,
    REF,
    claim,
    counts,
    failed,
    page,
    read,
    run_out,
)
from tests.support.fixtures.tables_0004 import Tables0004

HEAD = Migrations().revisions[-1]
SECOND = DocumentRef("s3://bucket/second.pdf", "v1")
#: What an additive migration of a later version may do.
ADDITIVE = (
    "ALTER TABLE ocr_documents ADD COLUMN added_text VARCHAR(16)",
    "ALTER TABLE ocr_documents ADD COLUMN added_flag INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE ocr_pages ADD COLUMN added_number INTEGER NOT NULL DEFAULT 7",
    "ALTER TABLE ocr_regions ADD COLUMN added_text VARCHAR(16)",
    "CREATE INDEX ix_later ON ocr_pages (added_number)",
    "CREATE TABLE ocr_later (document_id {id} NOT NULL, "
    "FOREIGN KEY (document_id) REFERENCES ocr_documents (id) ON DELETE CASCADE)",
    "CREATE VIEW ocr_later_view AS SELECT id, added_flag FROM ocr_documents",
)


def set_version(engine: Engine, revision: str, back_to: str) -> None:
    """Write the version table's row."""
    values = f"version_num = '{revision}', compatible_back_to = '{back_to}'"
    execute(engine, f"UPDATE {VERSIONS} SET {values}")


@pytest.fixture
def later(store: Store, connection: str) -> Iterator[str]:
    """The connection of a database that a later version has migrated."""
    engine = store.database.engine
    row_id = "INTEGER" if engine.dialect.name == "sqlite" else "BIGINT"
    execute(engine, *(statement.format(id=row_id) for statement in ADDITIVE))
    set_version(engine, "9999", HEAD)
    yield connection
    execute(engine, "DROP VIEW ocr_later_view", "DROP TABLE ocr_later")
    drop_tables(engine)


@pytest.mark.parametrize("auto_migrate", ["True", "False"])
def test_this_version_works_on_the_tables_of_a_later_one(
    later: str, auto_migrate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__DEEPSEEK_OCR__AUTO_MIGRATE", auto_migrate)
    with closing(open_store(later)) as store:
        ledger = Ledger(store.database, CONFIG, OTHER, timedelta(hours=1))
        read(ledger, page(1), failed(2, retryable=True))
        ledger.fail(claim(ledger, SECOND), failure(ACCESS_DENIED))
        assert counts(store) == (2, 2, 4)
        known = store.look_up([REF, SECOND], CONFIG.key)
        assert known[SECOND.version_key] == KnownVersion(State.DONE)
        claim(ledger, SECOND)
        run_out(store)
        assert [ref.uri for ref, _ in store.abandoned()] == [SECOND.uri]
        engine = store.database.engine
        with Session(engine) as session:
            defaults = (
                "SELECT DISTINCT added_flag, added_number FROM ocr_documents d JOIN ocr_pages p "
            )
            assert session.execute(text(f"{defaults} ON p.document_id = d.id")).all() == [(1, 7)]
        execute(engine, "INSERT INTO ocr_later SELECT id FROM ocr_documents")
        found = {each.uri: each for each in find(store.database, Selection())}
        assert forget(store.database, found[REF.uri].document_key) == Deleted(2, 4)
        with Session(engine) as session:
            assert session.scalar(text("SELECT COUNT(*) FROM ocr_later")) == 1


@pytest.mark.parametrize("auto_migrate", ["True", "False"])
def test_tables_that_exclude_this_version_are_refused(
    later: str, store: Store, auto_migrate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__DEEPSEEK_OCR__AUTO_MIGRATE", auto_migrate)
    set_version(store.database.engine, "9999", "9998")
    with pytest.raises(DatabaseError, match="compatible back to migration 9998") as caught:
        open_store(later)
    assert caught.value.code is ErrorCode.DATABASE_NEWER


def test_the_version_of_0004_works_on_todays_tables(
    store: Store, ledger: Callable[..., Ledger]
) -> None:
    older = Tables0004(store.database.engine)
    done = older.read(REF, CONFIG, pages=2)
    assert store.look_up([REF], CONFIG.key)[REF.version_key] == KnownVersion(State.DONE)
    assert ledger(OTHER).claim(REF) == AlreadyFinal()
    read(ledger(OTHER), page(1, "today"), ref=SECOND)
    assert [each["uri"] for each in older.documents()] == [REF.uri, SECOND.uri]
    assert older.texts(SECOND.uri) == ["today"]
    older.overwrite(done, "again")
    assert older.texts(REF.uri) == ["again", "again"]
    older.forget(done)
    assert counts(store) == (1, 1, 2)
