"""A pipeline with a real S3 server and database, and a fake engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource, ObjectStorageSource
from airflow_deepseek_ocr.sources.s3 import S3Source
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fakes.batch_engine import CONFIG, LIMITS, FakeEngine


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
        """Return a pipeline; changes are its arguments and its options."""
        sources = Sources(
            {"s3": lambda: S3Source(client, LIMITS), "file": lambda: FileSource(LIMITS)},
            fallback=lambda: ObjectStorageSource(LIMITS),
        )
        names = {field.name for field in fields(PipelineOptions)} & changes.keys()
        options = {"limits": LIMITS} | {name: changes.pop(name) for name in names}
        arguments = {
            "sources": sources,
            "get_engine": lambda: engine,
            "store": store,
            "config": CONFIG,
            "options": PipelineOptions(**options),
        }
        return Pipeline(**arguments | changes)

    return make
