"""The page's app in this process, with a results database in SQLite and Airflow's simple auth manager."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient
from sqlalchemy import create_engine

from airflow_deepseek_ocr.plugins.results_page import rights
from airflow_deepseek_ocr.plugins.results_page.app import make_app
from airflow_deepseek_ocr.plugins.results_page.state import state
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fakes.foreign_dag_auth_manager import ForeignDagAuthManager
from tests.support.fixtures.shown_documents import fill


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """Return a results database, and the ids of its documents by file name."""
    file = tmp_path_factory.mktemp("results") / "results.db"
    with closing(Store(create_engine(f"sqlite:///{file}"))) as store:
        store.ensure_schema()
        return file, fill(store)


@pytest.fixture
def results(
    filled: tuple[Path, dict[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimpleNamespace]:
    """Set the connection of a copy of the results database."""
    file = tmp_path / "results.db"
    shutil.copy(filled[0], file)
    monkeypatch.setenv(
        "AIRFLOW_CONN_DEEPSEEK_OCR_DB", json.dumps({"conn_type": "sqlite", "host": str(file)})
    )
    monkeypatch.setattr(rights, "get_auth_manager", ForeignDagAuthManager)
    state.cache_clear()
    with closing(Store(create_engine(f"sqlite:///{file}"))) as store:
        yield SimpleNamespace(file=file, ids=filled[1], store=store)
    state().database.close()
    state.cache_clear()


@pytest.fixture
def client(results: SimpleNamespace) -> Iterator[Callable[[str | None], TestClient]]:
    """Return a function that returns the app as a person with a role uses it; None is not logged in."""
    opened: list[TestClient] = []

    def make(role: str | None = "VIEWER") -> TestClient:
        app = make_app()
        if role is not None:
            user = SimpleAuthManagerUser(username=f"a {role.lower()}", role=role)
            app.dependency_overrides[get_user] = lambda: user
        opened.append(TestClient(app))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
