"""The views of current documents and pages, on SQLite, PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import forget
from airflow_deepseek_ocr.store.leases import AlreadyFinal
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.names import CURRENT_DOCUMENTS, CURRENT_PAGES
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import TaskInfo
from airflow_deepseek_ocr.store.tables import DocumentRow
from tests.integration.conftest import SERVERS
from tests.support.fixtures.older_tables import downgrade
from tests.support.fixtures.stored_documents import CONFIG, claim, failed, page, read
from tests.support.fixtures.tables_0004 import Tables0004

URI = "s3://bucket/Ä/key.pdf"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAMAGED = failure(DocumentError(ErrorCode.DAMAGED, "not a PDF"))
LARGE = replace(CONFIG, resolution="large")
RUN_2, RUN_3 = (TaskInfo("dag", f"run {n}", "task", -1, 1) for n in (2, 3))

Make = Callable[..., Ledger]


def version(number: int, uri: str = URI, **changes: Any) -> DocumentRef:
    """Return a version, which S3 stored so many hours after the first."""
    stored = DocumentRef(uri, f"v{number}", None, f"v{number}", 12, START + timedelta(hours=number))
    return replace(stored, **changes)


def documents(store: Store, *columns: str, **where: Any) -> list[tuple[Any, ...]]:
    return rows(store, "ocr_current_documents", columns, where, "uri, resolution, version")


def pages(store: Store, *columns: str, **where: Any) -> list[tuple[Any, ...]]:
    return rows(store, "ocr_current_pages", columns, where, "uri, resolution, page_number")


def rows(
    store: Store, view: str, columns: tuple[str, ...], where: dict[str, Any], order: str
) -> list[tuple[Any, ...]]:
    conditions = "".join(f" AND {name} = :{name}" for name in where)
    query = f"SELECT {', '.join(columns)} FROM {view} WHERE 1 = 1{conditions} ORDER BY {order}"
    with store.database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), where)]


def test_without_rows_the_views_are_empty(store: Store) -> None:
    assert documents(store, "id") == pages(store, "id") == []


def test_a_newer_version_replaces_the_pages_of_the_older_one(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "old"), page(2, "old"), page(3, "old"), ref=version(1))
    read(ledger(), page(1, "new"), page(2, "new"), ref=version(2))
    assert pages(store, "version", "page_number", "text") == [("v2", 1, "new"), ("v2", 2, "new")]
    assert documents(store, "version", "status", "result_version") == [("v2", "done", "v2")]
    assert documents(store, "is_newest_version", "is_newest_config") == [(True, True)]


def test_the_order_of_reading_does_not_decide_which_version_is_newer(
    store: Store, ledger: Make
) -> None:
    read(ledger(), page(1, "new"), ref=version(2))
    read(ledger(), page(1, "old"), ref=version(1))
    assert pages(store, "version", "text") == [("v2", "new")]


@pytest.mark.parametrize("last_modified", [START, None])
def test_of_versions_of_one_second_the_one_found_later_is_newer(
    store: Store, ledger: Make, last_modified: datetime | None
) -> None:
    for number in (1, 2):
        ref = version(number, last_modified=last_modified)
        read(ledger(), page(1, f"{number}"), ref=ref)
    assert pages(store, "text") == [("2",)]


def test_a_newer_version_without_result_leaves_the_older_result(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "old"), ref=version(1))
    lease = claim(ledger(), version(2))
    ledger().write_page(lease, page(1, "half"))
    state = ("version", "status", "result_version", "is_newest_version")
    assert documents(store, *state) == [("v2", "processing", "v1", False)]
    assert pages(store, "version", "text", "is_newest_version") == [("v1", "old", False)]
    ledger().fail(lease, DAMAGED)
    assert documents(store, *state) == [("v2", "failed", "v1", False)]
    assert documents(store, "error_code") == [("damaged",)]
    assert pages(store, "text") == [("old",)]
    read(ledger(RUN_2), page(1, "newest"), ref=version(3))
    assert documents(store, *state) == [("v3", "done", "v3", True)]
    assert pages(store, "text", "is_newest_version") == [("newest", True)]


def test_a_document_without_any_result_has_a_row_and_no_pages(store: Store, ledger: Make) -> None:
    ledger().fail(claim(ledger(), version(1)), DAMAGED)
    read(ledger(), failed(1), failed(2), ref=version(1, "s3://bucket/other.pdf"))
    claim(ledger(), version(1, "s3://bucket/third.pdf"))
    state = ("uri", "status", "result_id", "is_newest_version", "is_newest_config")
    assert set(documents(store, *state)) == {
        (URI, "failed", None, False, True),
        ("s3://bucket/other.pdf", "failed", None, False, True),
        ("s3://bucket/third.pdf", "processing", None, False, True),
    }
    assert pages(store, "id") == []


def test_a_partial_result_is_one(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "old"), ref=version(1))
    read(ledger(), page(1), failed(2), ref=version(2))
    assert pages(store, "version", "page_number", "status") == [
        ("v2", 1, "ok"),
        ("v2", 2, "failed"),
    ]


def test_pages_stay_while_a_document_is_read_again(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "old"), ref=version(1))
    read(ledger(), page(1, "first"), page(2, "first"), ref=version(2))
    again = claim(ledger(RUN_2), version(2), overwrite=True)
    assert documents(store, "status", "result_version") == [("processing", "v2")]
    ledger(RUN_2).write_page(again, page(1, "second"))
    assert pages(store, "text") == [("second",), ("first",)]
    ledger(RUN_2).fail(again, DAMAGED)
    assert documents(store, "status", "result_version") == [("failed", "v2")]
    read(ledger(RUN_3), page(1, "third"), page(2, "third"), ref=version(2), overwrite=True)
    assert pages(store, "text") == [("third",), ("third",)]


def test_a_repetition_that_reads_no_page_brings_back_the_older_version(
    store: Store, ledger: Make
) -> None:
    read(ledger(), page(1, "old"), ref=version(1))
    read(ledger(), page(1, "good"), ref=version(2))
    read(ledger(RUN_2), failed(1), ref=version(2), overwrite=True)
    assert documents(store, "version", "status", "result_version") == [("v2", "failed", "v1")]
    assert pages(store, "text") == [("old",)]


def test_each_configuration_has_its_own_result(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "small"), ref=version(1))
    read(ledger(config=LARGE), page(1, "large", resolution="large"), ref=version(1))
    columns = ("config_key", "text", "is_newest_config")
    assert pages(store, *columns) == [
        (LARGE.key, "large", True),
        (CONFIG.key, "small", False),
    ]
    assert pages(store, "text", config_key=CONFIG.key) == [("small",)]
    # Read again, it is the one that finished last.
    read(ledger(RUN_2), page(1, "again"), ref=version(1), overwrite=True)
    assert pages(store, "text", "is_newest_config") == [("large", False), ("again", True)]


def test_the_configuration_that_has_the_newest_version_is_the_newest(
    store: Store, ledger: Make
) -> None:
    read(ledger(), page(1, "1 small"), ref=version(1))
    read(ledger(), page(1, "2 small"), ref=version(2))
    read(ledger(config=LARGE), page(1, "1 large", resolution="large"), ref=version(1))
    columns = ("text", "is_newest_version", "is_newest_config")
    assert pages(store, *columns) == [("1 large", False, False), ("2 small", True, True)]
    claim(ledger(config=LARGE), version(3))
    assert pages(store, *columns) == [("1 large", False, False), ("2 small", False, True)]


def test_every_document_has_exactly_one_newest_configuration(store: Store, ledger: Make) -> None:
    configs: list[ProcessingConfig] = [CONFIG, LARGE, replace(CONFIG, prompt="free")]
    for number, config in enumerate(configs):
        ledger(config=config).fail(claim(ledger(config=config), version(1)), DAMAGED)
        read(ledger(config=config), page(1), ref=version(number, "s3://bucket/other.pdf"))
    newest = [uri for uri, newest in documents(store, "uri", "is_newest_config") if newest]
    assert sorted(newest) == ["s3://bucket/other.pdf", URI]


def test_a_failure_before_the_version_was_known_is_never_the_newest(
    store: Store, ledger: Make
) -> None:
    read(ledger(), page(1, "text"), ref=version(1))
    ledger(RUN_2).fail_unclaimed(version(0).unversioned(), DAMAGED)
    assert documents(store, "version", "status") == [("v1", "done")]
    only = DocumentRef("s3://bucket/none.pdf")
    ledger().fail_unclaimed(only, DAMAGED)
    assert documents(store, "version", "status", uri=only.uri) == [("", "failed")]


def test_of_a_document_that_is_skipped_the_pages_are_those_of_the_run_that_read_it(
    store: Store, ledger: Make
) -> None:
    read(ledger(), page(1), ref=version(1))
    assert ledger(RUN_2).claim(version(1)) == AlreadyFinal()
    assert documents(store, "run_id") == [("run",)]


def test_a_forgotten_version_brings_back_the_one_before(store: Store, ledger: Make) -> None:
    for number in (1, 2):
        read(ledger(), page(1, f"{number}"), ref=version(number))
    for expected in (["1"], []):
        (*_, newest) = find(store.database, Selection(uris=(URI,)))
        forget(store.database, newest.document_key)
        assert [content for (content,) in pages(store, "text")] == expected
    assert documents(store, "id") == []


def test_keys_that_differ_by_case_or_a_last_space_are_other_documents(
    store: Store, ledger: Make
) -> None:
    for uri in ("s3://bucket/a.pdf", "s3://bucket/A.pdf", "s3://bucket/a.pdf "):
        read(ledger(), page(1, uri), ref=version(1, uri))
    assert len(documents(store, "id")) == len(pages(store, "id")) == 3


@pytest.mark.parametrize("length", [1_000, 4_000])
def test_long_keys_have_an_index_entry(store: Store, ledger: Make, length: int) -> None:
    uri = "file:///" + "ü" * length + ".pdf"
    read(ledger(), page(1), ref=version(1, uri))
    read(ledger(), page(1), page(2), ref=version(2, uri))
    read(ledger(), page(1), ref=version(3, uri + "x"))
    read(ledger(), page(1), page(2), page(3), ref=version(1, uri + "x"))
    assert [row[0] for row in pages(store, "page_number", uri=uri)] == [1, 2]
    assert len(documents(store, "id")) == 2


def test_rows_of_older_versions_of_the_package_count_by_status(store: Store, ledger: Make) -> None:
    older = Tables0004(store.database.engine)
    older.read(version(1, last_modified=None), CONFIG, pages=2)
    assert documents(store, "status", "finished_at", "result_version") == [("done", None, "v1")]
    assert len(pages(store, "id")) == 2


def test_rows_of_before_the_migration_are_in_the_views(store: Store, ledger: Make) -> None:
    downgrade(store.database.engine, "0005")
    older = Tables0004(store.database.engine)
    for number in (1, 2):
        older.read(version(number), CONFIG, pages=number)
    store.ensure_schema()
    assert pages(store, "version", "page_number") == [("v2", 1), ("v2", 2)]


@pytest.mark.parametrize("connection", SERVERS, indirect=True)
@pytest.mark.parametrize("view", [CURRENT_DOCUMENTS, CURRENT_PAGES])
def test_a_condition_on_the_uri_takes_the_index(store: Store, ledger: Make, view: str) -> None:
    read(ledger(), page(1), ref=version(1))
    engine = store.database.engine
    names = [
        each.name
        for each in DocumentRow.__table__.columns
        if each.name not in ("id", "document_key", "version_key", "uri")
    ]
    with engine.begin() as connection:
        columns = ", ".join(names)
        connection.execute(
            text(
                f"INSERT INTO ocr_documents (document_key, version_key, uri, {columns}) "
                f"SELECT :key, :key, :uri, {columns} FROM ocr_documents WHERE uri = '{URI}'"
            ),
            [{"key": f"{n}", "uri": f"s3://bucket/{n}.pdf"} for n in range(5_000)],
        )
    is_postgres = engine.dialect.name == "postgresql"
    with engine.connect() as connection:
        connection.execute(text("ANALYZE" if is_postgres else "ANALYZE TABLE ocr_documents"))
        connection.commit()
        rows = connection.execute(text(f"EXPLAIN SELECT * FROM {view} WHERE uri = '{URI}'"))
        plan = "\n".join(str(tuple(row)) for row in rows)
    assert "ix_ocr_documents_uri" in plan, plan
    assert "Seq Scan on ocr_documents" not in plan, plan
