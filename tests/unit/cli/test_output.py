"""Standard streams of commands: closed pipes, full disks, encodings."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli import main, output
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from tests.conftest import TINY_MODEL

COMMAND = f"{sys.executable} -m airflow_deepseek_ocr.cli"
SQL = f"{COMMAND} db sql --dialect sqlite"


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        timeout=200,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("arguments", ["--help", "db sql --dialect sqlite"])
def test_a_reader_that_ends_ends_the_command_as_sigpipe_does(arguments: str) -> None:
    # ``true`` reads nothing, and the pause lets it end before the first byte is written.
    done = shell(f"{{ sleep 0.2; {COMMAND} {arguments}; echo $? >&2; }} | true; sleep 0.1")
    assert b"Traceback" not in done.stderr
    assert done.stderr.split()[-1] == b"141"


@pytest.mark.parametrize("arguments", ["--help", "--version", "db sql --dialect sqlite"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_an_error(arguments: str, unbuffered: str) -> None:
    done = shell(f"{COMMAND} {arguments} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert b"error: Standard output cannot be written: No space left on device." in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_closed_standard_output_is_an_error() -> None:
    done = shell(f"{SQL} >&-")
    assert done.returncode == 1
    assert b"it is closed" in done.stderr.splitlines()[-1]


def test_read_does_not_load_the_model_for_closed_output(tmp_path: Path) -> None:
    done = shell(f"{COMMAND} read {tmp_path}/a.pdf --model /nowhere >&-")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"it is closed" in done.stderr


def test_without_standard_error_messages_are_not_mixed_with_output() -> None:
    done = shell(f"{COMMAND} stop none 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def test_a_closed_pipe_of_standard_error_does_not_end_a_command() -> None:
    done = shell(f"{{ sleep 0.2; {SQL} 3>&1 1>&2 2>&3 | true; }} 2>&1 | tail -1; ")
    assert done.returncode == 0


def test_ctrl_c_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_deepseek_ocr.cli.models._pull", interrupted)
    assert main(["pull", str(TINY_MODEL)]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_characters_that_the_encoding_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    output.prepare()
    output.write("5 € café \udce9")
    assert raw.getvalue() == b"5 \\u20ac caf\xe9 \\udce9\n"


def test_json_is_utf_8_in_any_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    output.use_utf8()
    output.write_json({"text": "5 € \udce9"})
    assert json.loads(raw.getvalue().decode("utf-8")) == {"text": "5 € ?"}


def test_a_path_keeps_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output.write_path(Path("/models/caf\udce9"))
    assert raw.getvalue() == b"/models/caf\xe9\n"


def test_require_output_needs_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    output.require_output()
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(UnavailableError, match="closed") as caught:
        output.require_output()
    assert caught.value.code is ErrorCode.STANDARD_OUTPUT


def test_report_writes_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.report("something")
    assert capsys.readouterr() == ("", "something\n")
