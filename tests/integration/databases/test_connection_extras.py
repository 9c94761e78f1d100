"""Extras of the results connection, on servers without TLS: what Airflow's hook keeps, the engine keeps."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any
from urllib.parse import quote

import certifi
import pytest
from sqlalchemy import create_engine, inspect, text

from airflow_deepseek_ocr.airflow_support.results_database import open_store, results_engine
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DatabaseError,
    DeepSeekOCRError,
    ErrorCode,
)
from tests.integration.conftest import Connect, database_connection
from tests.support.fixtures.older_tables import execute
from tests.support.servers.database import Database


def as_uri(server: Database, query: str) -> str:
    login = f"{server.user}:{quote(server.password)}@{server.host}:{server.port}"
    return f"{server.airflow_conn_type}://{login}/{server.name}?{query}"


def with_extra(server: Database, **extra: Any) -> dict[str, Any]:
    return database_connection(server) | {"extra": extra}


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2", "postgresql+psycopg"])
def test_postgresql_never_connects_in_clear_text_against_sslmode(
    postgres_server: Database, connect: Connect, scheme: str
) -> None:
    connect("results", with_extra(postgres_server, sslmode="require", sqlalchemy_scheme=scheme))
    with pytest.raises(DatabaseError, match="does not support SSL") as caught:
        open_store("results", patience_s=0)
    assert caught.value.code is ErrorCode.DATABASE_UNAVAILABLE
    assert postgres_server.password not in str(caught.value)


def test_sslmode_of_a_uri_holds(postgres_server: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_RESULTS", as_uri(postgres_server, "sslmode=require"))
    with pytest.raises(DatabaseError, match="does not support SSL"):
        open_store("results", patience_s=0)
    monkeypatch.setenv("AIRFLOW_CONN_RESULTS", as_uri(postgres_server, "sslmode=prefer"))
    open_store("results").close()


def test_the_tables_are_where_options_say(postgres_server: Database, connect: Connect) -> None:
    admin = create_engine(postgres_server.sqlalchemy_url)
    execute(admin, "CREATE SCHEMA IF NOT EXISTS team")
    connect("results", with_extra(postgres_server, options="-c search_path=team"))
    try:
        with closing(open_store("results")) as store, store.database.engine.connect() as opened:
            assert opened.scalar(text("SELECT current_schema()")) == "team"
        tables = inspect(admin).get_table_names(schema="team")
        assert {"ocr_documents", "ocr_pages", "ocr_alembic_version"} <= set(tables)
    finally:
        execute(admin, "DROP SCHEMA team CASCADE")
        admin.dispose()


def test_extras_win_over_the_time_outs_of_the_package(
    postgres_server: Database, connect: Connect
) -> None:
    extra = {"application_name": "team", "keepalives_idle": 7, "connect_timeout": "3"}
    connect("results", with_extra(postgres_server, **extra))
    engine = results_engine("results")
    with closing(engine.connect()) as opened:
        info = opened.connection.driver_connection.info
        parameters = getattr(info, "dsn_parameters", None) or info.get_parameters()
    engine.dispose()
    assert parameters["application_name"] == "team"
    assert parameters["keepalives_idle"] == "7"
    assert parameters["connect_timeout"] == "3"


@pytest.mark.parametrize("name", ["sslmod", "no_such_thing"])
def test_a_misspelt_extra_is_named(postgres_server: Database, connect: Connect, name: str) -> None:
    connect("results", with_extra(postgres_server, **{name: "require"}))
    with pytest.raises(ConfigurationError, match=name) as caught:
        open_store("results")
    assert caught.value.code is ErrorCode.DATABASE_CONNECTION


TLS = [
    {"ssl_mode": "REQUIRED"},
    {"ssl": {"ca": certifi.where()}},
    {"ssl": json.dumps({"ca": certifi.where()})},
    {"client": "pymysql", "ssl_ca": certifi.where()},
    {"client": "pymysql", "ssl": {"ca": certifi.where()}},
    {
        "client": "mysql-connector-python",
        "ssl_ca": certifi.where(),
        "ssl_verify_cert": "true",
    },
]


@pytest.mark.parametrize("extra", TLS, ids=str)
def test_mysql_never_connects_in_clear_text_against_ssl(
    mariadb_server: Database, connect: Connect, extra: dict[str, Any]
) -> None:
    connect("results", with_extra(mariadb_server, **extra))
    with pytest.raises(DeepSeekOCRError, match=r"(?i)\bssl|\btls") as caught:
        open_store("results", patience_s=0)
    assert mariadb_server.password not in str(caught.value)


@pytest.mark.parametrize(
    "extra",
    [
        {"ssl_mode": "PREFERRED"},
        {"ssl_mode": "DISABLED", "ssl_ca": "/nowhere"},
        {"ssl": {}},
        {"charset": "latin1"},
        {"charset": "utf8", "read_timeout": "30", "compress": "true"},
        {"client": "pymysql", "connect_timeout": 5},
        {"init_command": "SET @team = 'ocr'"},
    ],
    ids=str,
)
def test_other_extras_of_mysql_hold(
    mariadb_server: Database, connect: Connect, extra: dict[str, Any]
) -> None:
    connect("results", with_extra(mariadb_server, **extra))
    with closing(open_store("results")) as store, store.database.engine.connect() as opened:
        assert opened.scalar(text("SELECT @@character_set_client")) == "utf8mb4"
        team = opened.scalar(text("SELECT @team"))
    assert team == ("ocr" if "init_command" in extra else None)


def test_a_socket_is_used(mariadb_server: Database, connect: Connect) -> None:
    # At an address the drivers use TCP.
    extra = {"extra": {"unix_socket": "/nowhere/mysqld.sock"}, "host": "localhost"}
    connect("results", database_connection(mariadb_server) | extra)
    with pytest.raises(DatabaseError, match=r"/nowhere/mysqld\.sock"):
        open_store("results", patience_s=0)
