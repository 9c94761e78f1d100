"""The options that name the source of an API key."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli.api_key import add_api_key, given_api_key
from airflow_deepseek_ocr.engines.protocol.api_key import create_api_key


def parsed(*arguments: str, required: bool = False) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_api_key(parser, "file with the key", required=required)
    return parser.parse_args(arguments)


def test_a_file_or_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api_key = create_api_key(tmp_path / "key")
    assert given_api_key(parsed("--api-key-file", str(tmp_path / "key"))) == api_key
    monkeypatch.setenv("OCR_KEY", "from the environment")
    assert given_api_key(parsed("--api-key-env", "OCR_KEY")) == "from the environment"
    assert given_api_key(parsed()) is None


def test_exactly_one_where_one_is_required() -> None:
    with pytest.raises(SystemExit):
        parsed(required=True)
    with pytest.raises(SystemExit):
        parsed("--api-key-file", "f", "--api-key-env", "E", required=True)
