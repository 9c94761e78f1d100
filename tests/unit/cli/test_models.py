"""The command ``pull``."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli import main
from tests.conftest import TINY_MODEL


def test_pull_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "owner/name", "--cache-dir", str(tmp_path)]) == 1
    assert "Set a revision for owner/name" in capsys.readouterr().err


def test_pull_prints_the_directory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", str(TINY_MODEL)]) == 0
    assert capsys.readouterr().out.strip() == str(TINY_MODEL)
