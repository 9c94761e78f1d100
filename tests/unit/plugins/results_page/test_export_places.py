"""The places from which exports are sent."""

from __future__ import annotations

import json

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.plugins.results_page import export_places
from airflow_deepseek_ocr.plugins.results_page.export_places import ExportPlaces


def connect(monkeypatch: pytest.MonkeyPatch, export_to: object) -> None:
    value = {"conn_type": "deepseek_ocr", "extra": {"export_to": export_to}}
    monkeypatch.setenv("AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT", json.dumps(value))


def shown(places: ExportPlaces) -> list[str]:
    return [str(each) for each in places.places()]


def test_the_settings_places_and_the_connections_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(ExportPlaces(())) == []
    given = ("s3://archive", "/mnt/exports/")
    assert shown(ExportPlaces(given)) == ["s3://archive/", "/mnt/exports/"]
    connect(monkeypatch, "s3://exports/ocr/")
    assert shown(ExportPlaces(given)) == ["s3://archive/", "/mnt/exports/", "s3://exports/ocr/"]


@pytest.mark.parametrize("export_to", ["/", "/etc", "file:///etc", "", None, 7, "s3://", "../a"])
def test_a_connection_opens_no_directory(
    monkeypatch: pytest.MonkeyPatch, export_to: object
) -> None:
    connect(monkeypatch, export_to)
    assert shown(ExportPlaces(())) == []


def test_a_connection_whose_extra_is_a_list_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"conn_type": "deepseek_ocr", "extra": ["s3://exports"]}
    monkeypatch.setenv("AIRFLOW_CONN_DEEPSEEK_OCR_DEFAULT", json.dumps(value))
    assert shown(ExportPlaces(("s3://archive",))) == ["s3://archive/"]


def test_the_connection_is_read_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    places = ExportPlaces(())
    assert shown(places) == []
    connect(monkeypatch, "s3://exports/ocr")
    assert shown(places) == []
    monkeypatch.setattr(export_places, "_KEEP_S", -1)
    assert shown(places) == ["s3://exports/ocr/"]


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'mnt/exports' is no place for exports"):
        ExportPlaces(("mnt/exports",)).places()
