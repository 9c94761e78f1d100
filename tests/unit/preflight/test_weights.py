"""Availability of the weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.preflight.weights import describe_weights, find_model_directory
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
    assert "airflow-deepseek-ocr pull" in describe_weights(hub)
    assert find_model_directory(hub) is None


def test_a_name_that_is_no_model() -> None:
    with pytest.raises(ConfigurationError, match="is no model"):
        describe_weights(settings(model="no model"))
    assert find_model_directory(settings(model="no model")) is None
