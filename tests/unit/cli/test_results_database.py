"""Which database the commands use."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli.results_database import (
    DEFAULT_CONN_ID,
    add_database,
    add_selection,
    opened_database,
    selection_of,
)
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.store.browsing.selection import Selection
from tests.support.airflow_connections import define_sqlite
from tests.support.command_line import run


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_database(parser)
    return parser.parse_args(arguments)


def refused(variable: str) -> ConfigurationError:
    with (
        pytest.raises(ConfigurationError) as caught,
        opened_database(options("--url-env", variable)),
    ):
        pass
    return caught.value


def test_a_variable_with_a_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RESULTS", f"sqlite:///{tmp_path}/a.db")
    with opened_database(options("--url-env", "RESULTS")) as database:
        assert str(database.engine.url) == f"sqlite:///{tmp_path}/a.db"
        assert database.engine.hide_parameters


@pytest.mark.parametrize(
    "url",
    [
        "no url s3cret",
        "postgres://u:s3cret@h/d",
        "postgresql+none://u:s3cret@h/d",
        "postgresql://u:s3cret@h:x/d",
    ],
)
def test_a_wrong_url_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("RESULTS", url)
    error = refused("RESULTS")
    assert "s3cret" not in str(error)
    assert error.__suppress_context__ or error.__context__ is None
    assert "RESULTS" in str(error)


def test_a_variable_that_is_not_set() -> None:
    assert refused("NOT_SET").code is ErrorCode.DATABASE_CONNECTION


def test_a_database_of_another_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESULTS", "mssql://u:s3cret@h/d")
    error = refused("RESULTS")
    assert (error.code, "s3cret" in str(error)) == (ErrorCode.DATABASE_TYPE, False)


def test_the_default_is_the_connection_of_the_tasks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_sqlite(monkeypatch, DEFAULT_CONN_ID, tmp_path / "a.db")
    with opened_database(options()) as database:
        assert database.engine.url.database == str(tmp_path / "a.db")


def test_either_a_connection_or_a_variable() -> None:
    with pytest.raises(SystemExit):
        options("--conn-id", "a", "--url-env", "B")


def selected(*arguments: str) -> Selection:
    parser = argparse.ArgumentParser()
    add_selection(parser)
    return selection_of(parser.parse_args(arguments), ErrorCode.FORGET)


def test_documents_are_named_as_they_are_stored() -> None:
    assert selected(
        "s3://b/a", "--prefix", "s3://c/", "--prefix", "", "--version", "7"
    ) == Selection(uris=("s3://b/a",), prefixes=("s3://c/",), version="7", config_key=None)
    assert selected("--config", "k").config_key == "k"


@pytest.mark.parametrize("arguments", [(), ("--prefix", ""), ("--version", "7")])
def test_a_selection_of_nothing_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="Name documents") as caught:
        selected(*arguments)
    assert caught.value.code is ErrorCode.FORGET


@pytest.mark.timeout(120)
def test_output_of_a_connections_sql_is_sql_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connection = {"conn_type": "sqlite", "host": str(tmp_path / "a.db")}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    done = run("db", "sql", "--conn-id", "other")
    assert done.returncode == 0, done.stderr
    assert done.stdout.lstrip().startswith("CREATE TABLE ocr_alembic_version")


def test_other_commands_do_not_import_airflow() -> None:
    script = (
        "import sys; from airflow_deepseek_ocr.cli.main import build_parser; build_parser(); "
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('airflow', 'torch', 'alembic')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
