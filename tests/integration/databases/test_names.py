"""Sets of tables with a prefix and a schema live side by side, on PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import Engine, inspect, text

from airflow_deepseek_ocr.airflow_support.results_database import open_store, results_engine
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import Deleted, forget
from airflow_deepseek_ocr.store.leases import AlreadyFinal
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.migrate import read_schema, upgrade
from airflow_deepseek_ocr.store.migrations.ownership import EXPECTED
from airflow_deepseek_ocr.store.names import CURRENT_PAGES, Names
from airflow_deepseek_ocr.store.results_store import State, Store
from tests.integration.conftest import Connect, database_connection
from tests.support.fixtures.older_tables import (
    TABLES,
    downgrade,
    drop_tables,
    execute,
    schema_differences,
)
from tests.support.fixtures.stored_documents import CONFIG, CONN_ID, REF, TASK, claim, page
from tests.support.servers.database import OTHER_SCHEMA, Database

SCANS, MAIL = Names("scans_"), Names("mail_")


@pytest.fixture
def schema(server: Database, connect: Connect) -> Iterator[str]:
    """A schema beside the connection's own."""
    connect(CONN_ID, database_connection(server))
    with closing_engine() as engine:
        quoted = engine.dialect.identifier_preparer.quote_schema(OTHER_SCHEMA)
        execute(engine, f"DROP SCHEMA IF EXISTS {quoted}" + cascade(engine))
        execute(engine, f"CREATE SCHEMA {quoted}")
        # Tests of other modules leave rows behind.
        drop_tables(engine)
        try:
            yield OTHER_SCHEMA
        finally:
            execute(engine, f"DROP SCHEMA {quoted}" + cascade(engine))
            for names in (SCANS, MAIL, Names()):
                drop_tables(engine, names)


@contextmanager
def closing_engine() -> Iterator[Engine]:
    engine = results_engine(CONN_ID)
    try:
        yield engine
    finally:
        engine.dispose()


def cascade(engine: Engine) -> str:
    return " CASCADE" if engine.dialect.name == "postgresql" else ""


def read_a_document(store: Store) -> None:
    task = Ledger(store.database, CONFIG, TASK)
    lease = claim(task, REF)
    task.write_page(lease, page(1))
    task.complete(lease, media_type="", page_count=1, pages=1)


def current_pages(store: Store) -> int | None:
    view = store.database.names.qualified(CURRENT_PAGES, store.database.engine.dialect)
    with store.database.engine.connect() as connection:
        count: int | None = connection.scalar(text(f"SELECT COUNT(*) FROM {view}"))
        return count


def test_each_set_of_tables_is_its_own(schema: str) -> None:
    sets = [Names(), SCANS, MAIL, Names(schema=schema), Names("scans_", schema)]
    for names in sets:
        with closing(open_store(CONN_ID, names=names)) as store:
            assert store.look_up([REF]) == {}
            read_a_document(store)
            assert store.look_up([REF])[REF.version_key].state is State.DONE
            assert schema_differences(store.database.engine, names) == []
            assert current_pages(store) == 1
    with closing(open_store(CONN_ID, names=SCANS)) as store:
        (found,) = find(store.database, Selection(uris=(REF.uri,)))
        assert forget(store.database, found.document_key) == Deleted(1, len(page(1).regions))
        assert store.look_up([REF]) == {}
        tables = inspect(store.database.engine).get_table_names(schema)
        assert len(tables) == 2 * len(TABLES)
    for names in (Names(), MAIL, Names("scans_", schema)):
        with closing(open_store(CONN_ID, names=names)) as store:
            assert len(store.look_up([REF])) == 1


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
def test_tables_that_are_moved_to_a_schema_keep_their_rows(schema: str) -> None:
    with closing(open_store(CONN_ID)) as store:
        read_a_document(store)
        execute(
            store.database.engine,
            *(f'ALTER TABLE {name} SET SCHEMA "{schema}"' for name in EXPECTED),
        )
    with closing(open_store(CONN_ID, names=Names(schema=schema))) as store:
        assert store.look_up([REF])[REF.version_key].state is State.DONE
        assert isinstance(Ledger(store.database, CONFIG, TASK).claim(REF), AlreadyFinal)


def test_migrations_from_each_revision_go_on(schema: str) -> None:
    names = Names("scans_", schema)
    with closing_engine() as engine:
        upgrade(engine, names)
        for revision in ("0003", "0002", "0001", "base"):
            downgrade(engine, revision, names)
            upgrade(engine, names)
            assert read_schema(engine, names).is_current
            assert schema_differences(engine, names) == []
