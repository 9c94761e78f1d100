"""SQL of the migrations; tests/integration/databases runs it with the databases' own clients."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.engine_options import SUPPORTED
from airflow_deepseek_ocr.store.migrate import Migrations, read_schema
from airflow_deepseek_ocr.store.migration_sql import BASE, migration_sql
from tests.support.fixtures.older_tables import TABLES, schema_differences

REVISIONS = Migrations().revisions
COMPUTED = Migrations().computed(REVISIONS)


@pytest.mark.parametrize("dialect", SUPPORTED)
def test_from_no_tables_it_is_complete(dialect: str) -> None:
    statements = migration_sql(dialect)
    for table in TABLES:
        assert f"CREATE TABLE {table}" in statements
    # It must stop at a table of another application, not change it.
    assert "IF NOT EXISTS" not in statements
    assert f"version_num='{REVISIONS[-1]}'" in statements
    # Values are written out.
    assert "%(" not in statements
    assert ":" not in statements.replace("::", "")


def test_sqlite_accepts_it(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.executescript(migration_sql("sqlite"))
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    assert schema_differences(engine) == []
    assert read_schema(engine).is_current


@pytest.mark.parametrize(
    ("before", "after"),
    [pair for pair in pairwise(REVISIONS) if pair[1] not in COMPUTED],
)
def test_each_migration_without_computed_rows_has_sql(before: str, after: str) -> None:
    start = REVISIONS.index(before)
    if set(REVISIONS[start + 1 :]) & set(COMPUTED):
        with pytest.raises(ConfigurationError):
            migration_sql("postgresql", before)
    else:
        assert f"version_num='{after}'" in migration_sql("postgresql", before)


def test_rows_that_are_computed_are_refused_and_named() -> None:
    with pytest.raises(
        ConfigurationError, match=r"0004 computes .* from 0002\. Run .*db upgrade"
    ) as caught:
        migration_sql("postgresql", "0002")
    assert caught.value.code is ErrorCode.DATABASE_SQL


def test_a_revision_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=f"'17'; use {BASE}, 0001, "):
        migration_sql("sqlite", "17")


def test_current_tables_need_no_sql() -> None:
    assert migration_sql("mysql", REVISIONS[-1]) == ""
