"""The results store on SQLite, PostgreSQL and MariaDB, through Airflow connections."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.errors import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.hooks.results_store import open_store
from airflow_deepseek_ocr.ocr.identity import DocumentRef, Recipe
from airflow_deepseek_ocr.ocr.results import (
    Box,
    DocumentResult,
    DocumentStatus,
    PageResult,
    PageStatus,
    Region,
)
from airflow_deepseek_ocr.store import store as store_module
from airflow_deepseek_ocr.store.migrate import VERSION_TABLE
from airflow_deepseek_ocr.store.rows import TaskInfo
from airflow_deepseek_ocr.store.store import Store
from airflow_deepseek_ocr.store.tables import Base, DocumentRow, PageRow, RegionRow
from tests.integration.conftest import Connect, database_connection
from tests.servers.database import Database

RECIPE = Recipe("model", "r1", "markdown", "small", "", 144, 8192, 30, 90)
REF = DocumentRef(
    "s3://bucket/Ä/key.pdf",
    "v1",
    None,
    "v1",
    12,
    datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
)
TASK = TaskInfo("dag", "run", "task", 3, 1)
CONN_ID = "results"


def page(number: int, content: str = "text") -> PageResult:
    box = Box((1, 2, 3, 4), (10, 20, 30, 40))
    return PageResult(
        number,
        PageStatus.OK,
        "small",
        100,
        200,
        content,
        content,
        (Region("text", content, (box, box)), Region("image", "")),
        111,
        50,
        0.5,
    )


def result(*pages: PageResult) -> DocumentResult:
    return DocumentResult(DocumentStatus.DONE, "application/pdf", len(pages), pages)


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def connection(request: pytest.FixtureRequest, connect: Connect, tmp_path: Path) -> str:
    if request.param == "sqlite":
        connect(CONN_ID, {"conn_type": "sqlite", "host": str(tmp_path / "results.db")})
    else:
        server: Database = request.getfixturevalue(f"{request.param}_server")
        connect(CONN_ID, database_connection(server))
    return CONN_ID


@pytest.fixture
def store(connection: str) -> Iterator[Store]:
    with closing(open_store(connection)) as opened:
        with Session(opened._engine) as session, session.begin():
            for table in (RegionRow, PageRow, DocumentRow):
                session.execute(delete(table))
        yield opened


def counts(store: Store) -> tuple[int, ...]:
    with Session(store._engine) as session:
        return tuple(
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (DocumentRow, PageRow, RegionRow)
        )


def test_migrations_make_the_tables_of_the_code(store: Store) -> None:
    store.ensure_schema()
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        differences = compare_metadata(context, Base.metadata)
    assert [each for each in differences if "ocr_" in str(each)] == []


def test_many_tasks_may_create_the_tables_at_once(connection: str, store: Store) -> None:
    with store._engine.begin() as database:
        for table in ("ocr_regions", "ocr_pages", "ocr_documents", VERSION_TABLE):
            database.execute(text(f"DROP TABLE {table}"))

    def create(_: int) -> None:
        open_store(connection).close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))
    assert counts(store) == (0, 0, 0)


def test_everything_comes_back_as_it_was_written(store: Store) -> None:
    content = "NUL \0, emoji \U0001f642, quotes '\"`, " + "ü" * 200_000
    store.write(REF, RECIPE, result(page(1, content)), TASK)
    with Session(store._engine) as session:
        document = session.scalars(select(DocumentRow)).one()
        stored = session.scalars(select(PageRow)).one()
        regions = session.scalars(select(RegionRow).order_by(RegionRow.position)).all()
        assert (document.uri, document.version, document.map_index) == (REF.uri, "v1", 3)
        assert document.last_modified == REF.last_modified
        assert datetime.now(UTC) - document.created_at < timedelta(minutes=1)
        assert stored.text == content.replace("\0", "\ufffd")
        assert stored.compression_ratio == pytest.approx(50 / 111)
        assert [(region.x1, region.y2) for region in regions] == [(10, 40), (None, None)]


def test_lone_surrogates_do_not_lose_the_page(store: Store) -> None:
    store.write(REF, RECIPE, result(page(1, "a\udc80b")), TASK)
    with Session(store._engine) as session:
        assert session.scalars(select(PageRow.text)).one() == "a?b"


def test_writing_again_replaces(store: Store) -> None:
    store.write(REF, RECIPE, result(page(1), page(2)), TASK)
    with Session(store._engine) as session:
        created = session.scalars(select(DocumentRow.created_at)).one()
    store.write(REF, RECIPE, result(page(1, "new")), TASK)
    assert counts(store) == (1, 1, 2)
    with Session(store._engine) as session:
        document = session.scalars(select(DocumentRow)).one()
        assert (document.attempts, document.created_at) == (2, created)
        assert session.scalars(select(PageRow.text)).one() == "new"


def test_a_failed_transaction_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(REF, RECIPE, result(page(1)), TASK)

    def fail(*_: object) -> dict[str, object]:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(store_module, "region_values", fail)
    with pytest.raises(RuntimeError):
        store.write(REF, RECIPE, result(page(1, "new"), page(2)), TASK)
    assert counts(store) == (1, 1, 2)
    with Session(store._engine) as session:
        assert session.scalars(select(PageRow.text)).one() == "text"


def test_many_writers_of_one_document_leave_one(store: Store) -> None:
    def write(number: int) -> None:
        store.write(REF, RECIPE, result(page(1, f"by {number}"), page(2)), TASK)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert counts(store) == (1, 2, 4)


def test_known_versions(store: Store) -> None:
    refs = [DocumentRef(f"s3://b/{number}", "v") for number in range(1200)]
    for ref in (refs[0], refs[700], refs[1199]):
        store.write(ref, RECIPE, result(page(1)), TASK)
    known = {refs[0].version_key, refs[700].version_key, refs[1199].version_key}
    assert store.known_versions(refs) == known
    assert store.known_versions(refs, RECIPE.key) == known
    assert store.known_versions(refs, replace(RECIPE, prompt="free").key) == set()
    assert (
        store.known_versions([DocumentRef("s3://b/0", "other"), DocumentRef("s3://B/0", "v")])
        == set()
    )


def test_failures_from_outside_become_new_again(store: Store) -> None:
    failed = DocumentResult(DocumentStatus.FAILED, error_code="access_denied", retryable=True)
    store.write(REF, RECIPE, failed, TASK)
    assert not store.is_settled(REF, RECIPE)
    assert store.known_versions([REF], retry_failed_after=timedelta(hours=1)) == {REF.version_key}
    assert store.known_versions([REF], retry_failed_after=timedelta(seconds=-5)) == set()
    store.write(REF, RECIPE, replace(failed, retryable=False), TASK)
    assert store.is_settled(REF, RECIPE)
    assert store.known_versions([REF], retry_failed_after=timedelta(seconds=-5)) == {
        REF.version_key
    }


def test_tables_of_a_newer_version_are_left_alone(connection: str, store: Store) -> None:
    with store._engine.begin() as database:
        head = database.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
        database.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    try:
        with pytest.raises(UnavailableError, match="upgrade the package") as caught:
            open_store(connection)
        assert caught.value.code == "database_newer"
    finally:
        with store._engine.begin() as database:
            database.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{head}'"))


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_database_that_is_away(
    kind: str, request: pytest.FixtureRequest, connect: Connect
) -> None:
    server: Database = request.getfixturevalue(f"{kind}_server")
    connect(CONN_ID, database_connection(server))
    with closing(open_store(CONN_ID)) as store:
        server.stop()
        try:
            with pytest.raises(UnavailableError) as caught:
                store.write(REF, RECIPE, result(page(1)), TASK)
            with pytest.raises(UnavailableError) as refused:
                open_store(CONN_ID)
        finally:
            server.start()
        assert caught.value.code == refused.value.code == "database_unavailable"
        assert server.password not in f"{caught.value}{refused.value}"
        store.write(REF, RECIPE, result(page(1)), TASK)


def test_a_connection_that_is_no_database(connect: Connect) -> None:
    connect(CONN_ID, {"conn_type": "http", "host": "example.org"})
    with pytest.raises(ConfigurationError, match="postgres, mysql or sqlite"):
        open_store(CONN_ID)
