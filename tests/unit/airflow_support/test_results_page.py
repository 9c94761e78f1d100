"""Settings of the page of results, and the link to it from a task."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_deepseek_ocr.airflow_support.results_page import PageSettings, ResultsLink, base_path
from airflow_deepseek_ocr.get_provider_info import get_provider_info
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator

PREFIX = "AIRFLOW__DEEPSEEK_OCR__RESULTS_PAGE"
TI = SimpleNamespace(
    dag_id="invoices", run_id="manual__2026-03-01T12:00:00+00:00", task_id="read", map_index=3
)


def link(**arguments: str) -> str:
    return ResultsLink().get_link(DeepSeekOCROperator(task_id="read", **arguments), ti_key=TI)


def test_the_link_names_the_task_instance() -> None:
    assert link() == (
        "/deepseek-ocr/?dag_id=invoices&run_id=manual__2026-03-01T12%3A00%3A00%2B00%3A00&task_id=read"
        "&map_index=3"
    )
    unmapped = SimpleNamespace(**{**vars(TI), "map_index": -1})
    assert "map_index" not in ResultsLink().get_link(SimpleNamespace(), ti_key=unmapped)


def test_no_link_leads_to_a_page_that_shows_other_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert link(db_conn_id="another") == ""
    assert link(db_table_prefix="scans_") == ""
    monkeypatch.setenv(f"{PREFIX}_DB_CONN_ID", "another")
    assert link(db_conn_id="another")
    monkeypatch.setenv(PREFIX, "False")
    assert link(db_conn_id="another") == ""


def test_the_path_of_airflows_url_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://host/airflow/")
    assert base_path() == "/airflow"
    assert link().startswith("/airflow/deepseek-ocr/?")


def test_settings_have_the_defaults_of_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    options = get_provider_info()["config"]["deepseek_ocr"]["options"]
    settings = PageSettings.load()
    assert settings == PageSettings()
    assert options["results_page"]["default"] == str(settings.enabled)
    assert options["results_page_db_conn_id"]["default"] == settings.db_conn_id
    assert options["results_page_aws_conn_id"]["default"] == settings.aws_conn_id
    monkeypatch.setenv(f"{PREFIX}_EXPORTS", "/mnt/a, s3://archive/ocr,")
    assert PageSettings.load().exports == ("/mnt/a", "s3://archive/ocr")


def test_the_operator_and_the_metadata_name_the_link() -> None:
    assert [type(each) for each in DeepSeekOCROperator.operator_extra_links] == [ResultsLink]
    assert get_provider_info()["extra-links"] == [
        f"{ResultsLink.__module__}.{ResultsLink.__qualname__}"
    ]
