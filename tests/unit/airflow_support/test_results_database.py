"""The results database of a connection; tests/integration/databases uses real servers."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from airflow_deepseek_ocr.airflow_support.results_database import (
    AUTO_MIGRATE,
    CONFIG_SECTION,
    LIST_DAYS,
    document_lists,
    open_store,
    results_engine,
)
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.get_provider_info import get_provider_info
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


def test_a_missing_connection_is_named() -> None:
    with pytest.raises(ConfigurationError, match="nothing_here") as caught:
        results_engine("nothing_here")
    assert caught.value.code is ErrorCode.DATABASE_CONNECTION


def test_tasks_do_not_migrate_where_it_is_forbidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_sqlite(monkeypatch, "results", tmp_path / "results.db")
    monkeypatch.setenv("AIRFLOW__DEEPSEEK_OCR__AUTO_MIGRATE", "False")
    with pytest.raises(UnavailableError, match="airflow-deepseek-ocr db upgrade") as caught:
        open_store("results")
    assert caught.value.code is ErrorCode.DATABASE_OUTDATED
    with closing(results_engine("results").connect()) as connection:
        assert inspect(connection).get_table_names() == []
    monkeypatch.setenv("AIRFLOW__DEEPSEEK_OCR__AUTO_MIGRATE", "True")
    open_store("results").close()
    monkeypatch.setenv("AIRFLOW__DEEPSEEK_OCR__AUTO_MIGRATE", "False")
    open_store("results").close()


def test_the_option_is_the_one_of_the_providers_metadata() -> None:
    assert AUTO_MIGRATE in get_provider_info()["config"][CONFIG_SECTION]["options"]


@pytest.mark.parametrize(("days", "kept"), [("", 30), ("1", 1), ("0.5e2", 50)])
def test_lists_are_kept_as_long_as_the_configuration_says(
    days: str, kept: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_sqlite(monkeypatch, "results", tmp_path / "results.db")
    monkeypatch.setenv("AIRFLOW__DEEPSEEK_OCR__DOCUMENT_LIST_DAYS", days)
    with closing(open_store("results")) as store:
        document_lists(store).write([], "")
        with store.database.engine.connect() as connection:
            between = "julianday(expires_at) - julianday(created_at)"
            query = text(f"SELECT {between} FROM ocr_document_lists")
            assert connection.scalar(query) == pytest.approx(kept, abs=0.001)
    default = get_provider_info()["config"][CONFIG_SECTION]["options"][LIST_DAYS]["default"]
    assert days or default == str(kept)


@pytest.mark.parametrize("days", ["0", "-1", "month", "nan", "1e9", "1e400"])
def test_a_wrong_number_of_days_is_refused(
    days: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_sqlite(monkeypatch, "results", tmp_path / "results.db")
    monkeypatch.setenv("AIRFLOW__DEEPSEEK_OCR__DOCUMENT_LIST_DAYS", days)
    with (
        closing(open_store("results")) as store,
        pytest.raises(ConfigurationError, match="document_list_days") as caught,
    ):
        document_lists(store)
    assert caught.value.code is ErrorCode.ARGUMENT
