"""Migrations run once, and newer tables are left alone; tests/integration/databases has the rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, text

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.migrate import VERSION_TABLE, Migrations, read_schema, upgrade
from tests.support.fixtures.older_tables import downgrade, execute, schema_differences


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path}/a.db")


def test_tables_are_created(engine: Engine) -> None:
    upgrade(engine)
    assert {"ocr_documents", "ocr_pages", "ocr_regions", VERSION_TABLE} == set(
        inspect(engine).get_table_names()
    )
    assert schema_differences(engine) == []


def test_current_tables_cost_no_change(engine: Engine) -> None:
    upgrade(engine)
    statements: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement.split()[0])

    upgrade(engine)
    assert set(statements) <= {"SELECT", "PRAGMA"}


def test_airflows_own_versions_are_left_alone(engine: Engine) -> None:
    execute(
        engine,
        "CREATE TABLE alembic_version (version_num VARCHAR(32))",
        "INSERT INTO alembic_version VALUES ('airflow')",
    )
    upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "airflow"


def test_newer_tables_are_refused(engine: Engine) -> None:
    upgrade(engine)
    execute(engine, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(DatabaseError, match="upgrade the package") as caught:
        upgrade(engine)
    assert caught.value.code is ErrorCode.DATABASE_NEWER


def test_an_upgrade_says_where_it_began(engine: Engine) -> None:
    head = Migrations().revisions[-1]
    assert (upgrade(engine).revision, upgrade(engine).revision) == (None, head)
    downgrade(engine, "0002")
    assert upgrade(engine).revision == "0002"


def test_reading_the_state_changes_nothing(engine: Engine) -> None:
    missing = read_schema(engine)
    assert (missing.revision, missing.is_current) == (None, False)
    assert inspect(engine).get_table_names() == []
    with pytest.raises(DatabaseError, match=r"no tables.*db upgrade.*db sql") as caught:
        missing.require_current()
    assert caught.value.code is ErrorCode.DATABASE_OUTDATED
    upgrade(engine)
    read_schema(engine).require_current()


def test_older_and_newer_tables_cannot_be_used(engine: Engine) -> None:
    upgrade(engine)
    downgrade(engine, "0003")
    with pytest.raises(DatabaseError, match=r"at migration 0003, .* needs 0004") as older:
        read_schema(engine).require_current()
    assert older.value.code is ErrorCode.DATABASE_OUTDATED
    execute(engine, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(DatabaseError, match="9999") as newer:
        read_schema(engine).require_current()
    assert newer.value.code is ErrorCode.DATABASE_NEWER


def test_migrations_that_compute_rows_are_marked() -> None:
    migrations = Migrations()
    assert migrations.revisions[:4] == ["0001", "0002", "0003", "0004"]
    assert migrations.computed(["0001", "0002", "0003", "0004"]) == ["0004"]
