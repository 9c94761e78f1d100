"""The command ``preflight``."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli import main
from tests.conftest import TINY_MODEL
from tests.support.airflow_connections import define_model
from tests.support.servers.process import free_port


def test_a_missing_model_fails_and_names_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["preflight", "--engine", "in_process", "--device", "cpu"]
    assert main([*arguments, "--model", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("failure") and "config.json" in line]
    assert main([*arguments, "--model", str(TINY_MODEL)]) == 0


def test_an_unreachable_server_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    key.write_text("a-key-of-the-server")
    key.chmod(0o600)
    port = free_port()
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--api-key-file", str(key)]
    assert main(["preflight", *arguments]) == 1
    output = capsys.readouterr().out
    assert f"No connection to http://127.0.0.1:{port}" in output
    assert "a-key-of-the-server" not in output


def test_a_connection_is_read_as_airflow_reads_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    define_model(monkeypatch, "ours", engine="in_process", device="cpu", model=str(TINY_MODEL))
    assert main(["preflight", "--conn-id", "ours"]) == 0
    output = capsys.readouterr().out
    assert "engine in_process" in output
    assert f"{TINY_MODEL} is complete" in output


def test_a_connection_that_is_missing_or_given_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preflight", "--conn-id", "no_such_connection"]) == 1
    assert "no_such_connection" in capsys.readouterr().err
    assert main(["preflight", "--conn-id", "ours", "--device", "cpu", "--port", "1"]) == 1
    assert "--device, --port and --conn-id exclude each other" in capsys.readouterr().err
