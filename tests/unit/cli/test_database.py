"""The command ``db`` on SQLite; tests/integration/databases has the servers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.store.migrate import Migrations, upgrade
from airflow_deepseek_ocr.store.names import VERSIONS
from tests.support.fixtures.older_tables import downgrade, execute

HEAD = Migrations().revisions[-1]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/results.db"
    monkeypatch.setenv("RESULTS", url)
    return url


def db(*arguments: str) -> int:
    return main(["db", *arguments, "--url-env", "RESULTS"])


def test_upgrade_says_from_where_to_where(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert db("upgrade") == 0
    assert capsys.readouterr().out == f"Migrated the tables from base to {HEAD}.\n"
    assert db("upgrade") == 0
    assert f"Nothing to migrate. The tables are at migration {HEAD}" in capsys.readouterr().out
    downgrade(create_engine(url), "0002")
    assert db("upgrade") == 0
    assert f"from 0002 to {HEAD}" in capsys.readouterr().out


def test_check_changes_nothing(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    engine = create_engine(url)
    assert db("check") == 1
    assert "has no tables" in capsys.readouterr().err
    assert inspect(engine).get_table_names() == []
    upgrade(engine)
    assert db("check") == 0
    downgrade(engine, "0003")
    assert db("check") == 1
    assert "at migration 0003" in capsys.readouterr().err


def test_incompatible_newer_tables_are_refused(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = create_engine(url)
    upgrade(engine)
    newer = "version_num = '9999', compatible_back_to = '9998'"
    execute(engine, f"UPDATE {VERSIONS} SET {newer}")
    for step in ("check", "upgrade", "sql"):
        assert db(step) == 1
        printed = capsys.readouterr().err
        assert "compatible back to migration 9998. Upgrade the package" in printed


def test_compatible_newer_tables_are_left_alone(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = create_engine(url)
    upgrade(engine)
    newer = f"version_num = '9999', compatible_back_to = '{HEAD}'"
    execute(engine, f"UPDATE {VERSIONS} SET {newer}")
    for step in ("check", "upgrade"):
        assert db(step) == 0
        assert f"9999, newer than {HEAD}" in capsys.readouterr().out
    assert db("sql") == 0
    assert capsys.readouterr() == ("", "No migration is missing.\n")


def test_sql_of_a_dialect_needs_no_database(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "sql", "--dialect", "postgresql"]) == 0
    assert "CREATE TABLE ocr_regions" in capsys.readouterr().out
    assert main(["db", "sql", "--dialect", "postgresql", "--from", "0001"]) == 1
    assert "db upgrade" in capsys.readouterr().err


def test_sql_of_a_database_is_what_it_lacks(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert db("sql") == 0
    with closing(sqlite3.connect(tmp_path / "results.db")) as database:
        database.executescript(capsys.readouterr().out)
    assert db("check") == 0
    capsys.readouterr()
    assert db("sql") == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "No migration is missing.\n")


def test_a_prefix_holds_for_all_commands(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = ("--db-table-prefix", "scans_")
    assert db("sql", *prefix) == 0
    with closing(sqlite3.connect(tmp_path / "results.db")) as database:
        database.executescript(capsys.readouterr().out)
    assert db("check", *prefix) == 0
    assert db("check") == 1
    monkeypatch.setenv("AIRFLOW__DEEPSEEK_OCR__DB_TABLE_PREFIX", "scans_")
    assert db("check") == 0
    assert main(["forget", "--url-env", "RESULTS", "--prefix", "s3://", "--dry-run"]) == 0
    tables = inspect(create_engine(url)).get_table_names()
    assert "scans_ocr_exports" in tables
    assert all(table.startswith("scans_ocr_") for table in tables)
    assert main(["db", "sql", "--dialect", "postgresql", "--db-schema", "docs"]) == 0
    assert "CREATE TABLE docs.scans_ocr_regions" in capsys.readouterr().out


def test_wrong_names_are_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert db("upgrade", "--db-table-prefix", "Scans-") == 1
    assert "db_table_prefix is 'Scans-'" in capsys.readouterr().err
    assert db("upgrade", "--db-schema", "docs") == 1
    assert "SQLite has no schemas" in capsys.readouterr().err
    assert inspect(create_engine(url)).get_table_names() == []
