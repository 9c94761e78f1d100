"""Settings and clients of Airflow connections."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.airflow_support.connections import load_settings, s3_client
from airflow_deepseek_ocr.exceptions import ConfigurationError
from tests.support.airflow_connections import define, define_model


def test_settings_are_the_connection_s(monkeypatch: pytest.MonkeyPatch) -> None:
    define(
        monkeypatch,
        "server",
        conn_type="deepseek_ocr",
        host="10.0.0.1",
        port=8000,
        login="me",
        password="key",
        extra={"resolution": "base", "batch_size": None},
    )
    settings = load_settings("server")
    assert (settings.host, settings.port, settings.login, settings.api_key) == (
        "10.0.0.1",
        8000,
        "me",
        "key",
    )
    assert (settings.resolution, settings.batch_size) == ("base", None)


def test_an_invalid_field_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    define_model(monkeypatch, "wrong", resolution="huge")
    with pytest.raises(ConfigurationError, match="resolution"):
        load_settings("wrong")


def test_the_s3_client_has_the_connection_s_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"endpoint_url": "http://127.0.0.1:9", "region_name": "eu-west-1"}
    define(monkeypatch, "store", conn_type="aws", login="a", password="b", extra=extra)
    client = s3_client("store")
    assert (client.meta.endpoint_url, client.meta.region_name) == (
        "http://127.0.0.1:9",
        "eu-west-1",
    )
