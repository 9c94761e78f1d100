"""An engine that fails where it must, and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource, ObjectStorageSource
from airflow_deepseek_ocr.sources.s3 import S3Source
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fakes.batch_engine import LIMITS, RECIPE, FakeEngine


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def store(sqlite_results: Path) -> Iterator[Store]:
    with closing(open_store("deepseek_ocr_db")) as opened:
        yield opened


@pytest.fixture
def pipeline(client: Any, store: Store, engine: FakeEngine) -> Callable[..., Pipeline]:
    def make(**changes: Any) -> Pipeline:
        sources = Sources(
            {"s3": lambda: S3Source(client, LIMITS), "file": lambda: FileSource(LIMITS)},
            fallback=lambda: ObjectStorageSource(LIMITS),
        )
        arguments = {
            "sources": sources,
            "get_engine": lambda: engine,
            "store": store,
            "config": RECIPE,
            "limits": LIMITS,
        }
        return Pipeline(**arguments | changes)

    return make
