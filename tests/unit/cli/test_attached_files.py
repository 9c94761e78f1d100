"""The command ``read`` with files that are attached to others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.cli.attached_files import AttachedFiles
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import open_document
from tests.conftest import ROOT
from tests.support.fakes.scripted_engine import ScriptedEngine
from tests.support.unshown_pdfs import annotated, containing, pdf, saved

TABLE = (ROOT / "demo" / "documents" / "table.png").read_bytes()
OPTIONS = ("--json", "--text-layer", "off", "--retry-with", "none", "--min-score", "0")


@pytest.fixture
def container(tmp_path: Path) -> Path:
    inner = saved(containing(pdf(), [("deep.png", TABLE)]))
    files = [("a b.pdf", inner), ("a b.pdf", b"%PDF-"), ("data.xml", b"<x/>")]
    path = tmp_path / "c.pdf"
    path.write_bytes(saved(annotated(containing(pdf(2), files), 1, "annex.png", TABLE)))
    return path


def test_attached_files_follow_their_container(
    container: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(
        "airflow_deepseek_ocr.cli.read._engine", lambda *_: ScriptedEngine(lambda _: "some text")
    )
    assert main(["read", str(container), "--attachments", "read", *OPTIONS]) == 1
    said = capsys.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]
    assert sorted((each["document"], each["page"] or 0, each["error_code"]) for each in found) == [
        (f"{container}", 1, None),
        (f"{container}", 2, None),
        (f"{container}#attachment=a%20b.pdf", 1, None),
        (f"{container}#attachment=a%20b.pdf#attachment=deep.png", 1, None),
        (f"{container}#attachment=a%20b.pdf&number=2", 0, "damaged"),
        (f"{container}#attachment=annex.png&page=2", 1, None),
    ]
    assert all(each.get("flags") in (None, []) for each in found)
    (warning,) = (line for line in said.err.splitlines() if line.startswith("warning: "))
    assert warning == f"warning: {container}: 1 attached file was not read: data.xml."
    assert list(scratch.iterdir()) == []


def test_attached_files_are_limited_together_and_left_out_by_default(container: Path) -> None:
    with open_document(container, attachments=True) as document:
        found = [(None, each) for each in document.attached]
        with AttachedFiles([container], Limits(max_bytes=5), read=True) as files:
            (only,) = files
            failed = dict(files.extract(only, document, found))
        assert {path.name: error.code for path, error in failed.items()} == {
            "c.pdf#attachment=a%20b.pdf": "too_many_bytes",
            "c.pdf#attachment=a%20b.pdf&number=2": "too_many_bytes",
        }
        with AttachedFiles([container], Limits(), read=True) as files:
            opened = iter(files)
            assert next(opened) == only
            assert not list(files.extract(only, document, found))
            first, second = opened
            assert first.path.read_bytes().startswith(b"%PDF-1"), "its pages may be rendered again"
            assert (second.path.read_bytes(), second.depth) == (b"%PDF-", 1)
        assert not first.path.exists()
        with AttachedFiles([container], Limits(), read=False) as files:
            assert not files.reads_attachments(only)
            assert list(files) == [only]
