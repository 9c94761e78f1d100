"""Migrations run once, and newer tables are left alone; tests/integration/databases has the rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, text

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.migrate import Migrations, read_schema, upgrade
from airflow_deepseek_ocr.store.names import VERSIONS, Names
from tests.support.fixtures.older_tables import TABLES, downgrade, execute, schema_differences

HEAD = Migrations().revisions[-1]


def make_newer(engine: Engine, back_to: str) -> None:
    """Let the tables be at a migration that this version does not know."""
    values = f"version_num = '9999', compatible_back_to = {back_to}"
    execute(engine, f"UPDATE {VERSIONS} SET {values}")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path}/a.db")


def test_tables_are_created(engine: Engine) -> None:
    upgrade(engine)
    assert set(TABLES) == set(inspect(engine).get_table_names())
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


@pytest.mark.parametrize(
    ("back_to", "reason"),
    [("'9998'", "compatible back to migration 9998"), ("NULL", "do not say which older versions")],
)
def test_newer_tables_are_refused(engine: Engine, back_to: str, reason: str) -> None:
    upgrade(engine)
    make_newer(engine, back_to)
    with pytest.raises(DatabaseError, match=rf"9999.* {reason}.*Upgrade the package") as caught:
        upgrade(engine)
    assert caught.value.code is ErrorCode.DATABASE_NEWER
    with pytest.raises(DatabaseError) as caught:
        read_schema(engine).require_usable()
    assert caught.value.code is ErrorCode.DATABASE_NEWER


def test_newer_tables_of_before_compatibility_are_refused(engine: Engine) -> None:
    upgrade(engine)
    downgrade(engine, "0004")
    execute(engine, f"UPDATE {VERSIONS} SET version_num = '9999'")
    with pytest.raises(DatabaseError, match="do not say") as caught:
        upgrade(engine)
    assert caught.value.code is ErrorCode.DATABASE_NEWER


@pytest.mark.parametrize("back_to", [HEAD, "0001"])
def test_newer_tables_that_are_compatible_are_used(engine: Engine, back_to: str) -> None:
    upgrade(engine)
    make_newer(engine, f"'{back_to}'")
    found = upgrade(engine)
    assert found == read_schema(engine)
    assert (found.revision, found.is_current, found.is_usable) == ("9999", False, True)
    found.require_usable()
    assert str(found).endswith(f"compatible back to {back_to}.")


def test_the_version_table_keeps_what_its_migration_says(engine: Engine) -> None:
    upgrade(engine)
    assert read_schema(engine).compatible_back_to == Migrations().compatible_back_to(HEAD)
    execute(engine, f"UPDATE {VERSIONS} SET compatible_back_to = 'other'")
    downgrade(engine, "0004")
    assert read_schema(engine).compatible_back_to is None
    upgrade(engine)
    assert read_schema(engine).compatible_back_to == Migrations().compatible_back_to(HEAD)


def test_an_upgrade_says_where_it_began(engine: Engine) -> None:
    assert (upgrade(engine).revision, upgrade(engine).revision) == (None, HEAD)
    downgrade(engine, "0002")
    assert upgrade(engine).revision == "0002"


def test_reading_the_state_changes_nothing(engine: Engine) -> None:
    missing = read_schema(engine)
    assert (missing.revision, missing.is_current) == (None, False)
    assert inspect(engine).get_table_names() == []
    with pytest.raises(DatabaseError, match=r"no tables.*db upgrade.*db sql") as caught:
        missing.require_usable()
    assert caught.value.code is ErrorCode.DATABASE_OUTDATED
    upgrade(engine)
    read_schema(engine).require_usable()


def test_older_and_newer_tables_cannot_be_used(engine: Engine) -> None:
    upgrade(engine)
    downgrade(engine, "0003")
    with pytest.raises(DatabaseError, match=rf"at migration 0003, .* needs {HEAD}") as older:
        read_schema(engine).require_usable()
    assert older.value.code is ErrorCode.DATABASE_OUTDATED
    execute(engine, f"UPDATE {VERSIONS} SET version_num = '9999'")
    with pytest.raises(DatabaseError, match="9999") as newer:
        read_schema(engine).require_usable()
    assert newer.value.code is ErrorCode.DATABASE_NEWER


@pytest.mark.parametrize("revision", ["0007", HEAD])
def test_the_view_of_pages_has_the_columns_of_its_migration(engine: Engine, revision: str) -> None:
    upgrade(engine)
    downgrade(engine, revision)
    columns = {each["name"] for each in inspect(engine).get_columns("ocr_current_pages")}
    pages = {each["name"] for each in inspect(engine).get_columns("ocr_pages")}
    assert pages <= columns
    assert ("uncertain_words" in pages) == (revision >= "0008")


def test_migrations_that_compute_rows_are_marked() -> None:
    migrations = Migrations()
    assert migrations.revisions[:4] == ["0001", "0002", "0003", "0004"]
    assert migrations.computed(["0001", "0002", "0003", "0004"]) == ["0004"]


def test_two_sets_of_tables_live_side_by_side(engine: Engine) -> None:
    scans = Names("scans_")
    upgrade(engine)
    downgrade(engine, "0003")
    upgrade(engine, scans)
    assert read_schema(engine).revision == "0003"
    assert read_schema(engine, scans).is_current
    assert upgrade(engine).revision == "0003"
    for names in (Names(), scans):
        assert schema_differences(engine, names) == []
    downgrade(engine, "base", scans)
    assert read_schema(engine).is_current
