"""Migrations keep rows, and are resumed where they died, on SQLite, PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig, document_key
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.store.leases import AlreadyFinal
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.names import VERSIONS
from airflow_deepseek_ocr.store.results_store import KnownVersion, State, Store
from airflow_deepseek_ocr.store.row_values import TaskInfo
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow
from tests.support.fixtures.older_tables import (
    downgrade,
    execute,
    insert_document,
    insert_page,
    schema_differences,
)

CONFIG = ProcessingConfig(
    model="s3://models/öcr",
    revision="r1",
    prompt="markdown",
    resolution="small",
    pages="",
    dpi=144,
    max_output_length=8192,
    ngram_size=30,
    ngram_window=90,
    retry_with="no_repeat_ngram,no_repeat_ngram:25/300,slices_2,slices_4,base,text_layer",
    text_layer="compare",
    min_score=0.5,
)
#: The same as revision 0003 stored it.
RECIPE = json.loads(CONFIG.to_json())
RECIPE["recipe_version"] = RECIPE.pop("config_version")
del RECIPE["retry_with"]
RECIPE["reread"] = "guard,guard:25/300,halves,quarters,base,text_layer"

#: More than a batch of the migration.
MANY = 1100


def ref(number: int) -> DocumentRef:
    return DocumentRef(f"s3://bucket/ä/{number}.pdf", "v1")


def attempt(how: str, **changes: Any) -> dict[str, Any]:
    usual = {"how": how, "resolution": "small", "score": 0.4, "flags": [], "error_code": None}
    return usual | changes


def test_revision_0001_to_0002_marks_pages_that_may_succeed_as_not_final(store: Store) -> None:
    engine = store.database.engine
    downgrade(engine, "0001")
    for number, retryable in ((1, True), (2, False)):
        insert_document(engine, number, ref(number), status="partial", retryable=retryable)
        insert_page(engine, number, 1)
        insert_page(engine, number, 2, status="failed")
    store.ensure_schema()
    with Session(engine) as session:
        pages = session.execute(
            select(
                PageRow.document_id, PageRow.page_number, PageRow.is_final, PageRow.text
            ).order_by(PageRow.document_id, PageRow.page_number)
        ).all()
        assert pages == [
            (1, 1, True, "kept"),
            (1, 2, False, "kept"),
            (2, 1, True, "kept"),
            (2, 2, True, "kept"),
        ]


def fill_revision_0003(engine: Engine) -> None:
    downgrade(engine, "0003")
    insert_document(engine, 1, ref(1), recipe=RECIPE)
    insert_document(engine, 2, ref(2), recipe=RECIPE, status="reading", attempts=4)
    insert_document(engine, 3, ref(3), recipe={"model": "before 0003", "recipe_version": 1})
    insert_document(
        engine, 4, ref(4), recipe=RECIPE, status="failed", error_code="server_answer", error="e"
    )
    readings = [
        attempt("small", flags=["only_in_reading", "loop"]),
        attempt("guard:25/300", error_code="drawing_killed"),
        attempt("halves"),
        attempt("base"),
    ]
    insert_page(
        engine, 1, 1, flags='["only_in_reading"]', readings=json.dumps(readings), attempts=4
    )
    insert_page(engine, 1, 2, flags="[]", readings=json.dumps([attempt("small")]), attempts=1)
    insert_page(engine, 1, 3, status="failed", error_code="only_in_reading", error="e")
    insert_page(engine, 2, 1, settled=False)


def check_today(store: Store) -> None:
    """Check the rows of :func:`fill_revision_0003` after the migration."""
    assert schema_differences(store.database.engine) == []
    with Session(store.database.engine) as session:
        documents = session.scalars(select(DocumentRow).order_by(DocumentRow.id)).all()[:4]
        assert [row.status for row in documents] == ["done", "processing", "done", "failed"]
        assert [row.claims for row in documents] == [1, 4, 1, 1]
        for number in (1, 2, 4):
            row = documents[number - 1]
            assert (row.config, row.config_key) == (CONFIG.to_json(), CONFIG.key)
            assert row.document_key == document_key(ref(number), CONFIG)
        assert json.loads(documents[2].config) == {"model": "before 0003", "config_version": 1}
        assert documents[3].error_code == ErrorCode.SERVER_RESPONSE
        pages = session.scalars(
            select(PageRow)
            .where(PageRow.document_id <= 2)
            .order_by(PageRow.document_id, PageRow.page_number)
        ).all()
        assert [page.attempt_count for page in pages] == [4, 1, 1, 1]
        assert [page.is_final for page in pages] == [True, True, True, False]
        assert pages[0].flags == json.dumps([Flag.ONLY_IN_OUTPUT])
        assert json.loads(pages[0].attempts or "") == [
            attempt("small", flags=["only_in_output", "loop"]),
            attempt("no_repeat_ngram:25/300", error_code=ErrorCode.RENDERER_KILLED),
            attempt("slices_2"),
            attempt("base"),
        ]
        assert json.loads(pages[1].attempts or "") == [attempt("small")]
        assert (pages[2].error_code, pages[2].attempts) == (Flag.ONLY_IN_OUTPUT, None)


def test_revision_0003_is_known_under_todays_configuration(store: Store) -> None:
    fill_revision_0003(store.database.engine)
    store.ensure_schema()
    check_today(store)
    known = store.look_up([ref(number) for number in (1, 2, 3, 4)], CONFIG.key)
    assert known[ref(1).version_key] == KnownVersion(State.DONE)
    assert known[ref(2).version_key].state is State.DUE
    assert ref(3).version_key not in known
    assert [found.uri for found, _ in store.abandoned(CONFIG.key)] == [ref(2).uri]
    ledger = Ledger(store.database, CONFIG, TaskInfo())
    assert ledger.claim(ref(1)) == AlreadyFinal()


def test_downgrading_and_upgrading_again_brings_the_same_rows(store: Store) -> None:
    engine = store.database.engine
    fill_revision_0003(engine)
    store.ensure_schema()
    downgrade(engine, "0003")
    with engine.connect() as connection:
        stored = connection.execute(text("SELECT status, recipe FROM ocr_documents WHERE id = 2"))
        assert stored.one() == ("reading", json.dumps(RECIPE, sort_keys=True))
        readings = connection.scalar(text("SELECT readings FROM ocr_pages WHERE attempts = 4"))
        assert "guard:25/300" in readings
    store.ensure_schema()
    check_today(store)


@pytest.mark.timeout(120)
def test_more_rows_than_a_batch(store: Store) -> None:
    engine = store.database.engine
    fill_revision_0003(engine)
    columns = (
        "document_key, version_key, uri, version, recipe_key, recipe, model, revision, prompt, "
        "resolution, status, retryable, media_type, page_count, attempts, created_at, updated_at"
    )
    copied = columns.replace("document_key, version_key, uri", ":key, :key, :uri")
    with engine.begin() as connection:
        connection.execute(
            text(
                f"INSERT INTO ocr_documents (id, {columns}) "
                f"SELECT :number, {copied} FROM ocr_documents WHERE id = 1"
            ),
            [{"number": 10 + n, "key": f"{n}", "uri": ref(10 + n).uri} for n in range(MANY)],
        )
    store.ensure_schema()
    with Session(engine) as session:
        keys = session.scalars(select(DocumentRow.document_key).where(DocumentRow.id >= 10))
        assert set(keys) == {document_key(ref(10 + n), CONFIG) for n in range(MANY)}


#: Statements that a migration had committed when it died, by the revision it began at.
DIED = {
    "0001: one column": (
        "0001",
        ["ALTER TABLE ocr_documents ADD COLUMN lease_token VARCHAR(32)"],
    ),
    "0002: two columns": (
        "0002",
        [
            "ALTER TABLE ocr_pages ADD COLUMN flags TEXT",
            "ALTER TABLE ocr_pages ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1",
        ],
    ),
    "no tables of regions": (None, ["DROP TABLE ocr_regions"]),
    "no index": (None, ["DROP TABLE ocr_regions", "DROP TABLE ocr_pages", "drop the index"]),
}


@pytest.mark.parametrize("left", DIED)
def test_a_migration_that_died_is_resumed(left: str, store: Store) -> None:
    engine = store.database.engine
    revision, statements = DIED[left]
    downgrade(engine, revision or "0001")
    if revision is None:
        statements = [f"DELETE FROM {VERSIONS}", *statements]
    where = " ON ocr_documents" if engine.dialect.name in ("mysql", "mariadb") else ""
    index = f"DROP INDEX ix_ocr_documents_status{where}"
    execute(engine, *(index if each == "drop the index" else each for each in statements))
    store.ensure_schema()
    assert schema_differences(engine) == []


@pytest.mark.parametrize("renamed", [1, 4, 6])
def test_renaming_that_died_is_resumed(renamed: int, store: Store) -> None:
    engine = store.database.engine
    fill_revision_0003(engine)
    renames = [
        ("ocr_documents", "recipe_key", "config_key"),
        ("ocr_documents", "recipe", "config"),
        ("ocr_documents", "attempts", "claims"),
        ("ocr_pages", "attempts", "attempt_count"),
        ("ocr_pages", "readings", "attempts"),
        ("ocr_pages", "settled", "is_final"),
    ]
    execute(
        engine,
        *(
            f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}"
            for table, old, new in renames[:renamed]
        ),
    )
    if renamed == len(renames):
        # It had changed some values too.
        keys = f"config_key = '{CONFIG.key}', document_key = '{document_key(ref(1), CONFIG)}'"
        with engine.begin() as connection:
            connection.execute(
                text(f"UPDATE ocr_documents SET config = :config, {keys} WHERE id = 1"),
                {"config": CONFIG.to_json()},
            )
            connection.execute(
                text("UPDATE ocr_documents SET status = 'processing' WHERE status = 'reading'")
            )
    store.ensure_schema()
    check_today(store)
    execute(engine, f"UPDATE {VERSIONS} SET version_num = '0003'")
    store.ensure_schema()
    check_today(store)
