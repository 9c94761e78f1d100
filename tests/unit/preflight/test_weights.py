"""Availability of the weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.preflight.check import Level
from airflow_deepseek_ocr.preflight.weights import (
    check_weights,
    describe_weights,
    find_model_directory,
)
from tests.conftest import TINY_MODEL
from tests.unit.preflight.conftest import settings


@pytest.fixture
def cut_short(tmp_path: Path) -> Path:
    for path in TINY_MODEL.iterdir():
        size = 100_000 if path.suffix == ".safetensors" else None
        (tmp_path / path.name).write_bytes(path.read_bytes()[:size])
    return tmp_path


def test_a_complete_directory() -> None:
    assert f"{TINY_MODEL} is complete: " in describe_weights(settings())
    assert describe_weights(settings()).endswith(" MB.")
    assert find_model_directory(settings()) == TINY_MODEL


def test_a_model_of_another_family_than_the_settings_are_for() -> None:
    assert check_weights(settings()).message.endswith("The model is DeepSeek-OCR.")
    wrong = check_weights(settings(model_family="deepseek_ocr_2"))
    assert wrong.level is Level.FAILURE
    assert "Set the connection's model family to deepseek_ocr" in wrong.message


def test_weights_that_are_cut_short(cut_short: Path) -> None:
    with pytest.raises(UnavailableError, match="has 100000 bytes"):
        describe_weights(settings(model=str(cut_short)))
    assert find_model_directory(settings(model=str(cut_short))) is None


def test_a_directory_that_is_not_there() -> None:
    missing = Settings.of({"model": "/nowhere/model"})
    with pytest.raises(UnavailableError, match="/nowhere/model does not exist on this host"):
        describe_weights(missing)
    assert find_model_directory(missing) is None


def test_a_hub_model_outside_the_cache(tmp_path: Path) -> None:
    hub = Settings.of({"cache_dir": str(tmp_path)})
    assert find_model_directory(hub) is None
    found = check_weights(hub)
    assert found.level is Level.WARNING, "weights that are not there are not ok"
    assert "is not in this host's cache: 6.7 GB to fetch." in found.message
    assert "airflow-deepseek-ocr pull deepseek-ai/DeepSeek-OCR --revision " in found.message


def test_another_hub_model_outside_the_cache(tmp_path: Path) -> None:
    found = check_weights(
        Settings.of({"model": "o/n", "revision": "r", "cache_dir": str(tmp_path)})
    )
    assert (
        found.level,
        "o/n at r is not in this host's cache: to be fetched." in found.message,
    ) == (
        Level.WARNING,
        True,
    )


def test_levels_of_weights_that_are_here_and_that_are_wrong(cut_short: Path) -> None:
    assert check_weights(settings()).level is Level.OK
    assert check_weights(settings(model=str(cut_short))).level is Level.FAILURE


def test_a_name_that_is_no_model() -> None:
    with pytest.raises(ConfigurationError, match="is no model"):
        describe_weights(settings(model="no model"))
    assert find_model_directory(settings(model="no model")) is None
