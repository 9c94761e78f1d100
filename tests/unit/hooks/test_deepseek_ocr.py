"""The hook: settings, model directory, connection test."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from tests.conftest import TINY_MODEL
from tests.support.airflow_connections import define_model


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    define_model(monkeypatch, "model", resolution="tiny")
    hook = DeepSeekOCRHook("model")
    assert hook.settings.resolution == "tiny"
    define_model(monkeypatch, "model", resolution="base")
    assert hook.settings.resolution == "tiny"


def test_a_model_directory_is_used_in_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    define_model(monkeypatch, "model", model=str(TINY_MODEL))
    assert DeepSeekOCRHook("model").fetch_model() == TINY_MODEL
    define_model(monkeypatch, "empty", model=str(tmp_path))
    with pytest.raises(UnavailableError, match=r"config\.json"):
        DeepSeekOCRHook("empty").fetch_model()


def test_the_connection_test_names_an_invalid_field(monkeypatch: pytest.MonkeyPatch) -> None:
    define_model(monkeypatch, "wrong", dtype="int4")
    good, message = DeepSeekOCRHook("wrong").test_connection()
    assert not good
    assert "Data type (dtype)" in message
    with pytest.raises(ConfigurationError):
        DeepSeekOCRHook("wrong").get_conn()
