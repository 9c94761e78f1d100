"""Tables, migrations and connections on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.store import migrate
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.migrate import VERSION_TABLE
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import Base, PageRow
from tests.integration.conftest import SERVERS, Connect, database_connection
from tests.support.fixtures.stored_documents import CONN_ID, RECIPE, REF, TASK, claim, counts, page
from tests.support.servers.database import Database


def test_migrations_make_the_tables_of_the_code(store: Store) -> None:
    store.ensure_schema()
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        differences = compare_metadata(context, Base.metadata)
    assert [each for each in differences if "ocr_" in str(each)] == []


def test_many_tasks_may_create_the_tables_at_once(connection: str, store: Store) -> None:
    with store.database.engine.begin() as database:
        for table in ("ocr_regions", "ocr_pages", "ocr_documents", VERSION_TABLE):
            database.execute(text(f"DROP TABLE {table}"))

    def create(_: int) -> None:
        open_store(connection).close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))
    assert counts(store) == (0, 0, 0)


def test_tables_of_a_newer_version_are_left_alone(connection: str, store: Store) -> None:
    with store.database.engine.begin() as database:
        head = database.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
        database.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    try:
        with pytest.raises(UnavailableError, match="upgrade the package") as caught:
            open_store(connection)
        assert caught.value.code == "database_newer"
    finally:
        with store.database.engine.begin() as database:
            database.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{head}'"))


@pytest.mark.parametrize("kind", SERVERS)
def test_a_database_that_is_away(
    kind: str, request: pytest.FixtureRequest, connect: Connect
) -> None:
    server: Database = request.getfixturevalue(f"{kind}_server")
    connect(CONN_ID, database_connection(server))
    ref = replace(REF, version=f"away {time.time()}")
    with closing(open_store(CONN_ID)) as store:
        task = Ledger(store.database, RECIPE, TASK)
        lease = claim(task, ref)
        store.database._patience_s = 0.5
        server.stop()
        try:
            with pytest.raises(UnavailableError) as caught:
                task.write_page(lease, page(1))
            with pytest.raises(UnavailableError) as refused:
                open_store(CONN_ID)
            store.database._patience_s = 30
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(task.write_page, lease, page(1))
                time.sleep(1)
                assert not waiting.done()
                server.start()
                waiting.result(30)
        finally:
            if server._process.exit_status is not None:
                server.start()
        assert caught.value.code == refused.value.code == "database_unavailable"
        assert server.password not in f"{caught.value}{refused.value}"
        task.complete(lease, media_type="", page_count=1, pages=1)


def test_older_tables_keep_their_rows(connection: str, store: Store) -> None:
    engine = store.database.engine
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.begin() as database:
        config.attributes["connection"] = database
        command.downgrade(config, "0001")
    columns = (
        "document_key, version_key, uri, version, recipe_key, recipe, model, revision, prompt, "
        "resolution, status, retryable, media_type, page_count, attempts, created_at, updated_at"
    )
    rest = "'', '', '', '', '', '{}', '', '', '', '', 'partial', {}, '', 2, 1, '{}', '{}'"
    moment = "2026-01-01 00:00:00"
    with engine.begin() as database:
        for number, retryable in ((1, "true"), (2, "false")):
            values = rest.format("x", retryable, moment, moment).replace("''", f"'{number}'", 1)
            database.execute(
                text(f"INSERT INTO ocr_documents (id, {columns}) VALUES ({number}, {values})")
            )
            for page_number, status in ((1, "ok"), (2, "failed")):
                database.execute(
                    text(
                        "INSERT INTO ocr_pages (document_id, page_number, status, resolution, width, "
                        "height, text, markdown, vision_tokens, text_tokens, seconds, created_at) "
                        f"VALUES ({number}, {page_number}, '{status}', '', 1, 1, 'kept', '', 1, 1, 1, "
                        f"'{moment}')"
                    )
                )
    open_store(connection).close()
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


@pytest.mark.parametrize("left", ["no columns", "no regions", "no indexes"])
def test_a_migration_that_died_in_the_middle_is_carried_on(
    left: str, connection: str, store: Store
) -> None:
    """MySQL commits each change of a table by itself."""
    engine = store.database.engine
    if left == "no columns":
        undo = ["ALTER TABLE ocr_pages DROP COLUMN is_final"]
        version = f"UPDATE {VERSION_TABLE} SET version_num = '0001'"
    else:
        undo = ["DROP TABLE ocr_regions"]
        version = f"DELETE FROM {VERSION_TABLE}"
        if left == "no indexes":
            where = " ON ocr_documents" if engine.dialect.name in ("mysql", "mariadb") else ""
            undo += ["DROP TABLE ocr_pages", f"DROP INDEX ix_ocr_documents_status{where}"]
    with engine.begin() as database:
        for statement in (version, *undo):
            database.execute(text(statement))
    open_store(connection).close()
    test_migrations_make_the_tables_of_the_code(store)


def test_a_connection_that_is_no_database(connect: Connect) -> None:
    connect(CONN_ID, {"conn_type": "http", "host": "example.org"})
    with pytest.raises(ConfigurationError, match="postgres, mysql or sqlite"):
        open_store(CONN_ID)
