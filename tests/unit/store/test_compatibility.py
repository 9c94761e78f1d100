"""Each migration says truly which older versions may use its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, inspect, text

from airflow_deepseek_ocr.store.compatibility import COMPATIBLE_BACK_TO, recorder
from airflow_deepseek_ocr.store.migrate import Migrations
from airflow_deepseek_ocr.store.migration_sql import migration_sql
from airflow_deepseek_ocr.store.names import VERSIONS

REVISIONS = Migrations().revisions
#: The first migration of a version that reads the column.
SINCE = REVISIONS.index("0005")
TABLES = ("ocr_documents", "ocr_pages", "ocr_regions")


def migrate_to(engine: Engine, revision: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Migrate, and return each table's columns by name."""
    config = Migrations().config
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    found = inspect(engine)
    return {
        table: {each["name"]: dict(each) for each in found.get_columns(table)} for table in TABLES
    }


def said(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return connection.scalar(text(f"SELECT {COMPATIBLE_BACK_TO} FROM {VERSIONS}"))


@pytest.mark.parametrize("revision", REVISIONS[SINCE:])
def test_older_versions_find_their_columns_and_can_leave_out_new_ones(
    revision: str, tmp_path: Path
) -> None:
    oldest = Migrations().compatible_back_to(revision)
    assert oldest in REVISIONS[: REVISIONS.index(revision) + 1]
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    before, after = migrate_to(engine, oldest), migrate_to(engine, revision)
    assert said(engine) == oldest
    for table in TABLES:
        for name, column in before[table].items():
            assert str(after[table][name]["type"]) == str(column["type"]), (table, name)
        for name in after[table].keys() - before[table].keys():
            column = after[table][name]
            assert column["nullable"] or column["default"] is not None, (table, name)


def test_a_migration_never_allows_versions_that_an_earlier_one_excluded() -> None:
    said = [Migrations().compatible_back_to(each) or "" for each in REVISIONS[SINCE:]]
    assert said == sorted(said)
    assert all(said)


def test_migrations_before_the_column_say_nothing() -> None:
    assert {Migrations().compatible_back_to(each) for each in REVISIONS[:SINCE]} == {None}


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", "mariadb", "sqlite"])
def test_sql_for_an_administrator_says_it_too(dialect: str) -> None:
    updates = [
        line
        for line in migration_sql(dialect, "0004").splitlines()
        if line.startswith("UPDATE") and COMPATIBLE_BACK_TO in line
    ]
    assert len(updates) == len(REVISIONS) - SINCE
    assert f"'{Migrations().compatible_back_to(REVISIONS[-1])}'" in updates[-1]


def test_nothing_is_recorded_where_the_migration_says_nothing() -> None:
    recorder(lambda _: None)(ctx=None, heads={"0001"}, step=None, run_args={})
