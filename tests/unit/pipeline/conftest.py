"""A results database in a SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from airflow_deepseek_ocr.store.results_store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(create_engine(f"sqlite:///{tmp_path}/results.db"))) as opened:
        opened.ensure_schema()
        yield opened
