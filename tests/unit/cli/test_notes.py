"""The option ``--notes``: a record of the run that is whole at any time."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli.notes import Notes
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus
from tests.conftest import ROOT, TINY_MODEL
from tests.support.command_line import run

SETTINGS = Settings.of({"model": str(TINY_MODEL)})
PAGE = PageResult(number=1, status=PageStatus.OK, resolution="small", text_tokens=5)


def notes(path: Path | None) -> Notes:
    return Notes(path, ["read", "a.png"], SETTINGS, SETTINGS.processing_config())


def test_a_run_of_the_command(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    done = run(
        "read", ROOT / "demo" / "documents" / "table.png", tmp_path / "none.png",
        "--model", TINY_MODEL, "--resolution", "small", "--max-output-length", 200,
        "--retry-with", "none", "--device", "cpu", "--notes", path,
    )  # fmt: skip
    text = path.read_text()
    assert "| State | finished |" in text, done.stderr
    assert f"--notes {path}" in text
    assert (
        "| Line sent after the image | <\\|grounding\\|>Convert the document to markdown. |" in text
    )
    assert "| Device used | cpu |" in text
    assert "| Data type used | torch.float32 |" in text
    assert "model-00001-of-00002.safetensors | 14471568 bytes, sha256 369f2068" in text
    assert "table.png | 1 | " in text
    assert "none.png | No such file" in text
    assert "| Text written to | standard output (pipe) |" in text
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_that_cannot_be_had_is_in_the_notes(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    page = ROOT / "demo" / "documents" / "table.png"
    done = run("read", page, "--model", "/nowhere", "--notes", path)
    assert done.returncode == 1
    assert "ended early: UnavailableError: The model directory /nowhere" in path.read_text()


def test_notes_that_cannot_be_written_end_the_run_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="notes cannot be written") as caught:
        notes(tmp_path / "none" / "notes.md")
    assert caught.value.code is ErrorCode.LOCAL_DISK


def test_the_notes_of_a_run_that_goes_on_say_so(tmp_path: Path) -> None:
    """A killed process leaves them behind."""
    path = tmp_path / "notes.md"
    with notes(path) as running:
        assert "| State | running |" in path.read_text()
        running.page("a.png", PAGE)
    assert "| State | finished |" in path.read_text()
    assert "| a.png | 1 | ok |" in path.read_text()


def test_an_interruption_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    with pytest.raises(KeyboardInterrupt), notes(path) as running:
        running.page("a.png", PAGE)
        raise KeyboardInterrupt
    assert "ended early: KeyboardInterrupt" in path.read_text()
    assert "| a.png | 1 | ok |" in path.read_text()


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with notes(None) as none:
        none.page("a.png", PAGE)
        none.document_failed("b.png", "No.")
    assert list(tmp_path.iterdir()) == []
