"""Migrations run once, and newer tables are left alone; tests/integration/databases has the rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, text

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.migrate import VERSION_TABLE, upgrade
from tests.support.fixtures.older_tables import execute, schema_differences


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
