"""Extras that need no server; tests/integration/databases/test_connection_extras.py asks real ones."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.airflow_support.results_database import open_store, results_engine
from airflow_deepseek_ocr.exceptions import ConfigurationError, DatabaseError, ErrorCode
from tests.support.airflow_connections import LOADS_ANY_JSON, define, define_sqlite


@pytest.mark.parametrize("kind", ["postgres", "mysql", "sqlite"])
@pytest.mark.parametrize("cursor", ["DictCursor", "sscursor"])
def test_a_cursor_is_refused(monkeypatch: pytest.MonkeyPatch, kind: str, cursor: str) -> None:
    define(monkeypatch, "results", conn_type=kind, host="127.0.0.1", extra={"cursor": cursor})
    with pytest.raises(ConfigurationError, match="'results': extra 'cursor'") as caught:
        results_engine("results")
    assert caught.value.code is ErrorCode.DATABASE_CONNECTION


@pytest.mark.parametrize(
    ("kind", "extra", "named"),
    [
        ("postgres", {"sqlalchemy_scheme": "mysql"}, "sqlalchemy_scheme"),
        ("postgres", {"sqlalchemy_query": "sslmode=require"}, "sqlalchemy_query"),
        ("mysql", {"ssl": "yes"}, "ssl"),
        ("mysql", {"ssl_mode": "require"}, "REQUIRED"),
        ("mysql", {"compress": ["a"]}, "compress"),
        ("mysql", {"read_timeout": "soon"}, "soon"),
        ("sqlite", {"mode": {"a": 1}}, "mode"),
    ],
)
def test_what_cannot_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: str, extra: dict[str, Any], named: str
) -> None:
    define(monkeypatch, "results", conn_type=kind, host="127.0.0.1", schema="ocr", extra=extra)
    with pytest.raises(ConfigurationError, match=named) as caught:
        results_engine("results")
    assert caught.value.code is ErrorCode.DATABASE_CONNECTION


@pytest.mark.parametrize("kind", ["postgres", "mysql", "sqlite"])
def test_an_extra_that_is_no_object_is_named(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    define(monkeypatch, "results", conn_type=kind, host="127.0.0.1", extra=["sslmode"])
    said = (
        "'results': its extra is JSON, but no object"
        if LOADS_ANY_JSON
        else r"variable AIRFLOW_CONN_RESULTS\. Correct its value: .* whose extra is an object"
    )
    with pytest.raises(ConfigurationError, match=said) as caught:
        results_engine("results")
    assert caught.value.code is ErrorCode.DATABASE_CONNECTION


@pytest.mark.parametrize("client", ["mysqlclient", "pymysql", "mysql-connector-python"])
@pytest.mark.parametrize("name", ["no_such_thing", "sslmode"])
def test_an_extra_that_the_driver_does_not_know_is_named(
    monkeypatch: pytest.MonkeyPatch, client: str, name: str
) -> None:
    extra = {"client": client, name: "require"}
    define(monkeypatch, "results", conn_type="mysql", host="127.0.0.1", extra=extra)
    with pytest.raises(ConfigurationError, match=name) as caught:
        open_store("results")
    assert caught.value.code is ErrorCode.DATABASE_CONNECTION


def test_a_parameter_that_libpq_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, "results", conn_type="postgres", host="127.0.0.1", extra={"sslmod": "x"})
    with pytest.raises(ConfigurationError, match="sslmod") as caught:
        open_store("results")
    assert caught.value.code is ErrorCode.DATABASE_CONNECTION


def test_a_sqlite_file_is_opened_as_its_extras_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "the results.db"
    define(monkeypatch, "results", conn_type="sqlite", host=str(file), extra={"mode": "rw"})
    with pytest.raises(DatabaseError):
        open_store("results")
    assert not file.exists()
    define_sqlite(monkeypatch, "results", file)
    open_store("results").close()
    define(monkeypatch, "results", conn_type="sqlite", host=str(file), extra={"mode": "ro"})
    with (
        closing(open_store("results")) as store,
        pytest.raises(DatabaseError) as caught,
        store.database.clear_errors(),
        store.database.engine.connect() as connection,
    ):
        connection.exec_driver_sql("CREATE TABLE other (id INTEGER)")
    assert caught.value.code is ErrorCode.DATABASE_RIGHTS


def test_settings_of_the_hooks_statements_are_left_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define(
        monkeypatch,
        "results",
        conn_type="sqlite",
        host=str(tmp_path / "results.db"),
        extra={"placeholder": "?", "escape_column_names": True},
    )
    open_store("results").close()


def test_a_new_token_is_asked_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []
    hook = pytest.importorskip("airflow.providers.mysql.hooks.mysql").MySqlHook
    tokens = iter(["first", "second"])
    monkeypatch.setattr(hook, "get_iam_token", lambda _self, _connection: (next(tokens), 3307))
    define(monkeypatch, "results", conn_type="mysql", host="127.0.0.1", extra={"iam": True})
    engine = results_engine("results")
    monkeypatch.setattr(
        engine.dialect, "connect", lambda **parameters: given.append(parameters) or 1 / 0
    )
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            engine.connect()
    assert [each["password"] for each in given] == ["first", "second"]
    assert given[0]["port"] == 3307
