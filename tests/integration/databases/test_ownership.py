"""Tables of other applications are refused and left as they are, on PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Engine, create_engine, inspect

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.migrate import read_schema, upgrade
from airflow_deepseek_ocr.store.names import VERSIONS, Names
from tests.integration.conftest import SERVERS, Connect, database_connection
from tests.support.fixtures.foreign_tables import FOREIGN, snapshot
from tests.support.fixtures.older_tables import (
    TABLES,
    downgrade,
    drop_tables,
    execute,
    schema_differences,
)
from tests.support.fixtures.stored_documents import CONN_ID
from tests.support.servers.database import Database

SCANS = Names("scans_")
POSTGRES = pytest.mark.parametrize("server", ["postgres"], indirect=True)
MYSQL = pytest.mark.parametrize("server", SERVERS[1:], indirect=True)


@pytest.fixture
def engine(server: Database, connect: Connect) -> Iterator[Engine]:
    """A user who owns an empty database."""
    connect(CONN_ID, database_connection(server))
    opened = create_engine(server.sqlalchemy_url)
    try:
        empty(opened)
        yield opened
        empty(opened)
    finally:
        opened.dispose()


def empty(engine: Engine) -> None:
    """Drop everything."""
    quote = engine.dialect.identifier_preparer.quote
    if engine.dialect.name == "postgresql":
        execute(
            engine,
            *(
                f"DROP SCHEMA {quote(name)} CASCADE"
                for name in inspect(engine).get_schema_names()
                if name not in ("public", "information_schema")
            ),
        )
    for name in inspect(engine).get_view_names():
        execute(engine, f"DROP VIEW IF EXISTS {quote(name)} CASCADE")
    drop_tables(engine)
    drop_tables(engine, SCANS)
    for name in inspect(engine).get_table_names():
        execute(engine, f"DROP TABLE {quote(name)}")


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_not_ours_is_refused_and_left_as_it_is(case: str, engine: Engine) -> None:
    execute(engine, *FOREIGN[case].statements)
    before = snapshot(engine)
    for attempt in (upgrade, read_schema):
        with pytest.raises(ConfigurationError, match=FOREIGN[case].message) as caught:
            attempt(engine)
        assert caught.value.code is ErrorCode.DATABASE_FOREIGN
    with pytest.raises(ConfigurationError, match="Nothing was changed"):
        open_store(CONN_ID)
    assert snapshot(engine) == before
    open_store(CONN_ID, names=SCANS).close()
    assert schema_differences(engine, SCANS) == []
    assert snapshot(engine).items() >= before.items()


@pytest.mark.parametrize(
    "left",
    [
        ["ocr_regions"],
        ["ocr_regions", "ocr_pages"],
        ["ocr_regions", "ocr_pages", "ocr_documents"],
    ],
)
def test_tables_of_a_first_migration_that_died_are_ours(left: list[str], engine: Engine) -> None:
    upgrade(engine)
    downgrade(engine, "0001")
    execute(engine, f"DELETE FROM {VERSIONS}", *(f"DROP TABLE {name}" for name in left))
    upgrade(engine)
    assert schema_differences(engine) == []


@POSTGRES
def test_a_taken_name_of_an_index(engine: Engine) -> None:
    execute(
        engine,
        "CREATE TABLE scans (id INTEGER CONSTRAINT pk_ocr_pages PRIMARY KEY)",
    )
    with pytest.raises(ConfigurationError, match=r"index public.pk_ocr_pages \(of scans\)"):
        upgrade(engine)
    assert inspect(engine).get_table_names() == ["scans"]


@MYSQL
def test_a_taken_name_of_a_foreign_key(engine: Engine) -> None:
    execute(
        engine,
        "CREATE TABLE books (id INTEGER PRIMARY KEY)",
        "CREATE TABLE leaves (book INTEGER, CONSTRAINT fk_ocr_pages_document_id FOREIGN KEY (book) "
        "REFERENCES books (id))",
    )
    with pytest.raises(ConfigurationError, match=r"fk_ocr_pages_document_id \(of leaves\)"):
        upgrade(engine)
    assert sorted(inspect(engine).get_table_names()) == ["books", "leaves"]
    execute(engine, "DROP TABLE leaves")


def test_names_in_another_case_are_other_names(engine: Engine) -> None:
    quoted = engine.dialect.identifier_preparer.quote("OCR_Pages")
    execute(engine, f"CREATE TABLE {quoted} (id INTEGER)")
    upgrade(engine)
    assert "OCR_Pages" in inspect(engine).get_table_names()
    assert schema_differences(engine) == []


@POSTGRES
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE MATERIALIZED VIEW ocr_pages AS SELECT 1 AS id",
        "CREATE SEQUENCE ocr_pages",
        "CREATE TYPE ocr_pages AS (id INTEGER)",
    ],
)
def test_other_kinds_of_objects(statement: str, engine: Engine) -> None:
    execute(engine, statement)
    try:
        with pytest.raises(ConfigurationError, match=r"ocr_pages .* the package has a table"):
            upgrade(engine)
        assert inspect(engine).get_table_names() == []
    finally:
        execute(engine, f"DROP {statement.split(' ocr')[0].removeprefix('CREATE ')} ocr_pages")


def search_path(server: Database, path: str) -> dict[str, object]:
    return database_connection(server) | {
        "extra": json.dumps({"options": f"-c search_path={path}"})
    }


@POSTGRES
def test_another_table_earlier_in_the_search_path(
    engine: Engine, server: Database, connect: Connect
) -> None:
    upgrade(engine)
    execute(engine, "CREATE SCHEMA first", "CREATE TABLE first.ocr_pages (id INTEGER)")
    connect(CONN_ID, search_path(server, "first,public"))
    with pytest.raises(
        ConfigurationError, match=r"table first.ocr_pages .* in schema public, and the"
    ) as caught:
        open_store(CONN_ID)
    assert caught.value.code is ErrorCode.DATABASE_FOREIGN
    open_store(CONN_ID, names=Names(schema="public")).close()
    assert inspect(engine).get_table_names("first") == ["ocr_pages"]


@POSTGRES
def test_another_table_later_in_the_search_path(
    engine: Engine, server: Database, connect: Connect
) -> None:
    """Ours in an earlier schema would hide it from its application."""
    execute(engine, "CREATE SCHEMA first", "CREATE TABLE ocr_pages (id INTEGER)")
    connect(CONN_ID, search_path(server, "first,public"))
    with pytest.raises(ConfigurationError, match=r"table public.ocr_pages"):
        open_store(CONN_ID)
    assert inspect(engine).get_table_names("first") == []
    open_store(CONN_ID, names=Names(schema="first")).close()
    assert len(inspect(engine).get_table_names("first")) == len(TABLES)


@POSTGRES
def test_migrations_stay_in_the_schema_of_the_tables(
    engine: Engine, server: Database, connect: Connect
) -> None:
    upgrade(engine)
    downgrade(engine, "0001")
    execute(engine, f"DELETE FROM {VERSIONS}", "DROP TABLE ocr_regions", "CREATE SCHEMA first")
    connect(CONN_ID, search_path(server, "first,public"))
    open_store(CONN_ID).close()
    assert inspect(engine).get_table_names("first") == []
    assert schema_differences(engine) == []


@POSTGRES
def test_no_schema_in_the_search_path(server: Database, engine: Engine, connect: Connect) -> None:
    connect(CONN_ID, search_path(server, "none"))
    with pytest.raises(ConfigurationError, match="leads to no schema") as caught:
        open_store(CONN_ID)
    assert caught.value.code is ErrorCode.DATABASE_SCHEMA


@MYSQL
def test_no_database_in_the_connection(server: Database, engine: Engine, connect: Connect) -> None:
    connect(CONN_ID, database_connection(server) | {"schema": ""})
    with pytest.raises(ConfigurationError, match="leads to no schema") as caught:
        open_store(CONN_ID)
    assert caught.value.code is ErrorCode.DATABASE_SCHEMA
    with closing(open_store(CONN_ID, names=Names(schema=server.name))) as store:
        assert store.look_up([]) == {}


def test_a_schema_that_does_not_exist_is_not_created(engine: Engine) -> None:
    names = Names(schema="nowhere")
    for attempt in (upgrade, read_schema):
        with pytest.raises(
            ConfigurationError, match=r"db_schema is 'nowhere'.*CREATE SCHEMA"
        ) as caught:
            attempt(engine, names)
        assert caught.value.code is ErrorCode.DATABASE_SCHEMA
    assert "nowhere" not in inspect(engine).get_schema_names()
