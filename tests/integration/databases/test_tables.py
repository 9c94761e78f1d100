"""Tables and connections on SQLite, PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import text

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import ConfigurationError, DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.names import VERSIONS
from airflow_deepseek_ocr.store.results_store import Store
from tests.integration.conftest import SERVERS, Connect, database_connection
from tests.support.fixtures.older_tables import TABLES, VIEWS, schema_differences
from tests.support.fixtures.stored_documents import CONFIG, CONN_ID, REF, TASK, claim, counts, page
from tests.support.servers.database import Database


def test_migrations_make_the_tables_of_the_code(store: Store) -> None:
    store.ensure_schema()
    assert schema_differences(store.database.engine) == []


def test_many_tasks_may_create_the_tables_at_once(connection: str, store: Store) -> None:
    with store.database.engine.begin() as database:
        for view in VIEWS:
            database.execute(text(f"DROP VIEW {view}"))
        for table in TABLES:
            database.execute(text(f"DROP TABLE {table}"))

    def create(_: int) -> None:
        open_store(connection).close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))
    assert counts(store) == (0, 0, 0)


def test_tables_of_a_newer_version_are_left_alone(connection: str, store: Store) -> None:
    with store.database.engine.begin() as database:
        head = database.scalar(text(f"SELECT version_num FROM {VERSIONS}"))
        oldest = database.scalar(text(f"SELECT compatible_back_to FROM {VERSIONS}"))
        database.execute(
            text(f"UPDATE {VERSIONS} SET version_num = '9999', compatible_back_to = '9999'")
        )
    try:
        with pytest.raises(DatabaseError, match="Upgrade the package") as caught:
            open_store(connection)
        assert caught.value.code is ErrorCode.DATABASE_NEWER
    finally:
        with store.database.engine.begin() as database:
            database.execute(
                text(f"UPDATE {VERSIONS} SET version_num = :head, compatible_back_to = :oldest"),
                {"head": head, "oldest": oldest},
            )


@pytest.mark.parametrize("kind", SERVERS)
def test_a_database_that_is_away(
    kind: str, request: pytest.FixtureRequest, connect: Connect
) -> None:
    server: Database = request.getfixturevalue(f"{kind}_server")
    connect(CONN_ID, database_connection(server))
    ref = replace(REF, version=f"away {time.time()}")
    with (
        closing(open_store(CONN_ID)) as store,
        closing(open_store(CONN_ID, patience_s=0.5)) as impatient,
    ):
        task = Ledger(store.database, CONFIG, TASK)
        lease = claim(task, ref)
        server.stop()
        try:
            with pytest.raises(DatabaseError) as caught:
                Ledger(impatient.database, CONFIG, TASK).write_page(lease, page(1))
            with pytest.raises(DatabaseError) as refused:
                open_store(CONN_ID)
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(task.write_page, lease, page(1))
                time.sleep(1)
                assert not waiting.done()
                server.start()
                waiting.result(30)
        finally:
            server.recover()
        assert caught.value.code is refused.value.code is ErrorCode.DATABASE_UNAVAILABLE
        assert server.password not in f"{caught.value}{refused.value}"
        task.complete(lease, media_type="", page_count=1, pages=1)


def test_a_connection_that_is_no_database(connect: Connect) -> None:
    connect(CONN_ID, {"conn_type": "http", "host": "example.org"})
    with pytest.raises(ConfigurationError, match="postgres, mysql or sqlite"):
        open_store(CONN_ID)
