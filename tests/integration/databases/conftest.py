"""A document, its readings and the tasks that claim it, on SQLite, PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import TaskInfo
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow, RegionRow
from tests.integration.conftest import SERVERS, Connect, database_connection
from tests.support.fixtures.stored_documents import CONFIG, CONN_ID, LONG, TASK
from tests.support.servers.database import Database


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture(params=["sqlite", *SERVERS])
def connection(request: pytest.FixtureRequest, connect: Connect, tmp_path: Path) -> str:
    if request.param == "sqlite":
        connect(CONN_ID, {"conn_type": "sqlite", "host": str(tmp_path / "results.db")})
    else:
        server: Database = request.getfixturevalue(f"{request.param}_server")
        connect(CONN_ID, database_connection(server))
    return CONN_ID


@pytest.fixture
def store(connection: str) -> Iterator[Store]:
    with closing(open_store(connection)) as opened:
        with Session(opened.database.engine) as session, session.begin():
            for table in (RegionRow, PageRow, DocumentRow):
                session.execute(delete(table))
        yield opened


@pytest.fixture
def ledger(store: Store) -> Callable[..., Ledger]:
    """Makes the ledger of a task."""

    def make(
        task: TaskInfo = TASK, lease: timedelta = LONG, config: ProcessingConfig = CONFIG
    ) -> Ledger:
        return Ledger(store.database, config, task, lease)

    return make
