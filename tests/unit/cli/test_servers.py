"""The commands ``serve``, ``servers`` and ``stop``; tests/integration/servers starts real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.cli.listening import DEFAULT_PORT
from airflow_deepseek_ocr.cli.main import build_parser


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
        ["serve", "m", "--api-key-file", "k", "--api-key-env", "K"],
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


def test_serve_checks_key_address_and_certificate_before_it_fetches_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model does not exist, which would be the next error."""
    key, short = tmp_path / "key", tmp_path / "short"
    short.touch(0o600)
    short.write_text("short")
    (tmp_path / "broken").symlink_to("missing")
    monkeypatch.setenv("SHORT_KEY", "short")
    key_option = ("--api-key-file", str(key))
    for options, message in (
        (("--api-key-file", str(short)), "5 characters"),
        (("--api-key-env", "SHORT_KEY"), "5 characters"),
        (("--api-key-env", "NO_SUCH_KEY"), "NO_SUCH_KEY is missing"),
        (("--api-key-file", str(tmp_path / "broken")), "No such file"),
        ((*key_option, "--host", "0.0.0.0"), "--plain-http"),
        ((*key_option, "--tls-certificate", "/no/cert", "--tls-key", "/no/key"), "/no/cert"),
    ):
        assert main(["serve", str(tmp_path / "no-model"), *options]) == 1
        assert message in capsys.readouterr().err
    assert not key.exists()
