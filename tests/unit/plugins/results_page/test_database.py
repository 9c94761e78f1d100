"""A results database that is missing, older or newer, as people read of it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from airflow_deepseek_ocr.plugins.results_page import database
from airflow_deepseek_ocr.plugins.results_page.state import state

Client = Callable[..., TestClient]


def detail(client: TestClient) -> dict[str, str]:
    response = client.get("/api/session")
    assert response.status_code == 503
    found: dict[str, str] = response.json()["detail"]
    return found


def execute(results: SimpleNamespace, statement: str) -> None:
    with results.store.database.engine.begin() as connection:
        connection.execute(text(statement))


def test_without_a_connection_the_page_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_DEEPSEEK_OCR_DB")
    found = detail(client())
    assert found["code"] == "database_connection"
    assert "deepseek_ocr_db" in found["message"]


def test_other_tables_are_named_and_never_migrated(
    client: Client, results: SimpleNamespace
) -> None:
    viewer = client("ADMIN")
    execute(results, "UPDATE ocr_alembic_version SET version_num = '0001'")
    assert detail(viewer)["code"] == "database_outdated"
    execute(
        results, "UPDATE ocr_alembic_version SET version_num = '9999', compatible_back_to = '9998'"
    )
    assert detail(viewer)["code"] == "database_newer"
    execute(results, "UPDATE ocr_alembic_version SET compatible_back_to = '0009'")
    assert viewer.get("/api/session").status_code == 200


def test_a_new_connection_and_new_dags_are_found_after_a_while(
    client: Client, results: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = client("ADMIN")
    before = set(viewer.get("/api/session").json()["dag_ids"])
    opened = state().database._database
    execute(results, "UPDATE ocr_documents SET dag_id = 'new' WHERE dag_id = 'salaries'")
    assert set(viewer.get("/api/session").json()["dag_ids"]) == before
    monkeypatch.setattr(database, "_KEEP_DAGS_S", -1)
    assert "new" in viewer.get("/api/session").json()["dag_ids"]
    assert state().database._database is opened
    monkeypatch.setattr(database, "_KEEP_S", -1)
    viewer.get("/api/session")
    assert state().database._database is not opened


@pytest.fixture
def silent() -> Iterator[SimpleNamespace]:
    """A server that accepts connections, counts them, and says nothing."""
    found = SimpleNamespace(port=0, connections=list[socket.socket]())
    with socket.create_server(("127.0.0.1", 0)) as server:
        found.port = server.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    found.connections.append(server.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
    thread.join(30)
    for each in found.connections:
        each.close()


def test_of_many_requests_one_waits_for_a_server_that_is_away(
    client: Client, silent: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": silent.port,
        "login": "ocr",
        "password": "secret",
        "schema": "ocr",
        # The least that libpq waits.
        "extra": {"connect_timeout": 2, "sslmode": "disable", "gssencmode": "disable"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_DEEPSEEK_OCR_DB", json.dumps(connection))
    # Only a process that forgets tries again.
    monkeypatch.setattr("airflow_deepseek_ocr.plugins.results_page.away._KEEP_S", 600)
    viewer, found = client(), list[dict[str, str]]()

    def ask() -> None:
        found.append(viewer.get("/api/documents/1/pages/1/picture").json()["detail"])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each["code"] for each in found} == {"database_unavailable"}
    assert len(silent.connections) == 1
    for _ in range(3):
        ask()
    assert len(found) == 7
    assert len(silent.connections) == 1
    assert "secret" not in str(found)
