"""The results database of a connection; tests/integration/databases uses real servers."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from tests.support.airflow_connections import define, define_sqlite


def test_the_tables_are_created(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    define_sqlite(monkeypatch, "results", tmp_path / "results.db")
    for _ in range(2):
        with closing(open_store("results")) as store:
            tables = inspect(store.database.engine).get_table_names()
    assert {"ocr_documents", "ocr_pages", "ocr_regions"} <= set(tables)


def test_texts_of_documents_stay_out_of_error_messages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_sqlite(monkeypatch, "results", tmp_path / "results.db")
    with closing(open_store("results")) as store:
        assert store.database.engine.hide_parameters


def test_another_kind_of_connection_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, "web", conn_type="http", host="example.org")
    with pytest.raises(ConfigurationError, match="postgres, mysql or sqlite") as caught:
        open_store("web")
    assert caught.value.code is ErrorCode.DATABASE_TYPE


def test_a_database_out_of_reach_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_sqlite(monkeypatch, "results", tmp_path / "none" / "results.db")
    with pytest.raises(UnavailableError) as caught:
        open_store("results")
    assert caught.value.code is ErrorCode.DATABASE_UNAVAILABLE
