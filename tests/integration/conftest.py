"""Real servers, and Airflow connections to them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Airflow reads these once, when it is imported.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-home-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

import boto3
import pytest

from tests.support.servers.airflow import aws_connection
from tests.support.servers.database import Database
from tests.support.servers.mariadb import mariadb
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.mysql import mysql
from tests.support.servers.postgres import postgres
from tests.support.servers.s3 import S3Server

Connect = Callable[[str, dict[str, Any]], None]

#: Database servers; each has a fixture.
SERVERS = ["postgres", "mariadb", pytest.param("mysql", marks=pytest.mark.slow)]


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with moto_s3() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Database]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Database]:
    with mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[Database]:
    with mysql() as server:
        yield server


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Define an Airflow connection for the time of a test."""

    def define(conn_id: str, connection: dict[str, Any]) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    return define


def database_connection(server: Database) -> dict[str, Any]:
    return {
        "conn_type": server.airflow_conn_type,
        "host": server.host,
        "port": server.port,
        "login": server.user,
        "password": server.password,
        "schema": server.name,
    }


@pytest.fixture
def sqlite_results(tmp_path: Path, connect: Connect) -> Path:
    """A SQLite results database behind the default connection."""
    path = tmp_path / "results.db"
    connect("deepseek_ocr_db", {"conn_type": "sqlite", "host": str(path)})
    return path


@pytest.fixture
def client(s3: S3Server, connect: Connect) -> Any:
    """A boto3 client of the S3 server behind the default AWS connection."""
    connect("aws_default", aws_connection(s3))
    return boto3.client(
        "s3",
        **s3.client_arguments,
    )


@pytest.fixture
def bucket(client: Any, request: pytest.FixtureRequest) -> str:
    """A fresh bucket."""
    name = f"docs-{abs(hash(request.node.nodeid)) % 10**12}"
    client.create_bucket(Bucket=name)
    return name
