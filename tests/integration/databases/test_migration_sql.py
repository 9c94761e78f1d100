"""The printed SQL, run by the databases' own clients, makes the tables that the migrations make."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect

from airflow_deepseek_ocr.store.migrate import read_schema, upgrade
from tests.support.command_line import run
from tests.support.fixtures.older_tables import TABLES, drop_tables, schema_differences
from tests.support.servers.database import Database


@pytest.fixture
def engine(server: Database) -> Iterator[Engine]:
    engine = create_engine(server.sqlalchemy_url)
    drop_tables(engine)
    yield engine
    drop_tables(engine)
    engine.dispose()


def schema(engine: Engine) -> dict[str, Any]:
    """Return columns, keys and indexes of all tables."""
    found = inspect(engine)

    def plain(values: list[Any]) -> list[str]:
        return sorted(str(each) for each in values)

    return {
        table: (
            [str(column) for column in found.get_columns(table)],
            str(found.get_pk_constraint(table)),
            plain(found.get_foreign_keys(table)),
            plain(found.get_unique_constraints(table)),
            plain(found.get_indexes(table)),
        )
        for table in TABLES
    }


def client(server: Database) -> list[str]:
    address = [f"--host={server.host}", f"--port={server.port}"]
    if server.airflow_conn_type == "postgres":
        psql = shutil.which("psql") or str(next(Path("/usr/lib/postgresql").glob("*/bin/psql")))
        options = [f"--username={server.user}", "--set=ON_ERROR_STOP=1", "--quiet", "--no-psqlrc"]
        return [psql, *address, *options, server.name]
    program = shutil.which("mariadb") or shutil.which("mysql")
    assert program
    return [program, "--no-defaults", *address, f"--user={server.user}", server.name]


@pytest.mark.timeout(180)
def test_the_servers_client_runs_it(
    server: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(engine)
    expected = schema(engine)
    drop_tables(engine)
    monkeypatch.setenv("RESULTS", server.sqlalchemy_url)
    printed = run("db", "sql", "--url-env", "RESULTS")
    assert printed.returncode == 0, printed.stderr
    assert server.password not in printed.stdout + printed.stderr
    done = subprocess.run(
        client(server),
        input=printed.stdout,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
        env=os.environ | {"PGPASSWORD": server.password, "MYSQL_PWD": server.password},
    )
    assert done.returncode == 0, done.stderr
    assert schema(engine) == expected
    assert schema_differences(engine) == []
    assert read_schema(engine).is_current
    checked = run("db", "check", "--url-env", "RESULTS")
    assert checked.returncode == 0, checked.stderr
