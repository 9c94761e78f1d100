"""A results database with documents of several DAGs, for tests that only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.shown_documents import fill


@pytest.fixture(scope="package")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Return a store, its tables' classes, a session, and the ids of the documents by file name."""
    file = tmp_path_factory.mktemp("results") / "results.db"
    with closing(Store(create_engine(f"sqlite:///{file}"))) as store:
        store.ensure_schema()
        ids = fill(store)
        with Session(store.database.engine) as session:
            yield SimpleNamespace(store=store, rows=store.database.rows, session=session, ids=ids)
