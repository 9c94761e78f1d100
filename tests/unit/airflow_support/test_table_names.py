"""Arguments come before Airflow's configuration."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.airflow_support.table_names import (
    CONFIG_SECTION,
    TABLE_NAMES,
    configured_names,
)
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.get_provider_info import get_provider_info
from airflow_deepseek_ocr.store.names import Names
from tests.support.airflow_connections import define_sqlite

PREFIX, SCHEMA = (
    "AIRFLOW__DEEPSEEK_OCR__DB_TABLE_PREFIX",
    "AIRFLOW__DEEPSEEK_OCR__DB_SCHEMA",
)


def test_without_either_the_names_are_plain() -> None:
    assert configured_names() == Names()


def test_airflows_configuration_and_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX, "scans_")
    monkeypatch.setenv(SCHEMA, "docs")
    assert configured_names() == Names("scans_", "docs")
    assert configured_names("other", "mail_") == Names("mail_", "other")
    assert configured_names(db_table_prefix="mail_") == Names("mail_", "docs")


@pytest.mark.parametrize(("variable", "name"), [(PREFIX, "db_table_prefix"), (SCHEMA, "db_schema")])
def test_a_bad_option_is_named(variable: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "a;b")
    with pytest.raises(ConfigurationError, match=f"{name} is 'a;b'") as caught:
        configured_names()
    assert caught.value.code is ErrorCode.ARGUMENT


def test_the_store_takes_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    define_sqlite(monkeypatch, "results", tmp_path / "results.db")
    monkeypatch.setenv(PREFIX, "scans_")
    with closing(open_store("results")) as store:
        tables = inspect(store.database.engine).get_table_names()
    assert "scans_ocr_exports" in tables
    assert all(table.startswith("scans_ocr_") for table in tables)
    monkeypatch.setenv(SCHEMA, "docs")
    with pytest.raises(ConfigurationError, match="SQLite has no schemas"):
        open_store("results")


def test_the_options_are_those_of_the_providers_metadata() -> None:
    assert set(TABLE_NAMES) <= set(get_provider_info()["config"][CONFIG_SECTION]["options"])
