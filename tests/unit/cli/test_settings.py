"""Connection fields as command-line options."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli.settings import add_fields, connection_settings
from airflow_deepseek_ocr.connection.fields import FIELDS
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_fields(parser, [each.name for each in FIELDS])
    return parser


def test_without_arguments_the_settings_are_those_of_an_empty_connection(
    parser: argparse.ArgumentParser,
) -> None:
    assert connection_settings(parser.parse_args([])) == Settings.of({})


def test_arguments_have_the_fields_types_and_values(parser: argparse.ArgumentParser) -> None:
    options = parser.parse_args(["--batch-size", "3", "--retry-with", "none", "--engine", "vllm"])
    settings = connection_settings(options)
    assert (settings.batch_size, settings.retry_with, settings.engine) == (3, "none", "vllm")
    with pytest.raises(SystemExit):
        parser.parse_args(["--dtype", "int4"])
    with pytest.raises(ConfigurationError) as caught:
        connection_settings(parser.parse_args(["--device", "gpu"]))
    assert caught.value.code is ErrorCode.CONNECTION


def test_a_relative_directory_becomes_absolute(
    parser: argparse.ArgumentParser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = connection_settings(parser.parse_args(["--model", "weights"]))
    assert settings.model == str(tmp_path / "weights")


def test_a_host_takes_the_api_key(parser: argparse.ArgumentParser) -> None:
    options = argparse.Namespace(**vars(parser.parse_args([])), host="10.0.0.1", port=80)
    settings = connection_settings(options, "key")
    assert (settings.host, settings.port, settings.api_key) == ("10.0.0.1", 80, "key")
    assert settings.hub_token is None
