"""The commands ``serve``, ``servers`` and ``stop``; tests/integration/servers starts real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.cli.main import build_parser
from airflow_deepseek_ocr.cli.servers import DEFAULT_PORT


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPSEEK_OCR_SERVERS", str(tmp_path / "servers"))
    return tmp_path / "servers"


def test_without_servers_the_list_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["servers"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "No servers on this host.\n")


def test_stop_needs_a_key_or_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stop"]) == 1
    assert "Name a KEY, or give --all." in capsys.readouterr().err
    assert main(["stop", "--all"]) == 0


def test_serve_needs_an_api_key_file_and_one_address() -> None:
    parser = build_parser()
    for wrong in (
        ["serve", "m"],
        ["serve", "m", "--api-key-file", "k", "--port", "1", "--socket", "s"],
    ):
        with pytest.raises(SystemExit):
            parser.parse_args(wrong)
    options = parser.parse_args(["serve", "m", "--api-key-file", "k", "--idle-seconds", "0.5"])
    assert (options.port, options.idle_s, options.device) == (DEFAULT_PORT, 0.5, "auto")


def test_serve_of_a_missing_model_ends_with_its_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key"
    assert main(["serve", str(tmp_path), "--api-key-file", str(key), "--idle-seconds", "0.5"]) == 1
    assert "config.json is missing" in capsys.readouterr().err
    assert not key.exists()
