"""The command ``read``, with the small checkpoint."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.cli.attached_files import AttachedFiles
from airflow_deepseek_ocr.cli.notes import Notes
from airflow_deepseek_ocr.cli.read import _Output, _pages
from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.unshown import DYNAMIC_FORM
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer
from tests.conftest import ROOT, TINY_MODEL
from tests.support.command_line import run
from tests.support.fakes.scripted_engine import ScriptedEngine
from tests.support.unshown_pdfs import form, portfolio

DOCUMENTS = ROOT / "demo" / "documents"
FIELDS = {
    "document", "page", "width", "height", "resolution", "status", "error_code", "error", "text",
    "markdown", "regions", "vision_tokens", "text_tokens", "compression_ratio", "seconds",
    "score", "flags", "agreement", "agreement_ordered", "attempts", "attachments",
    "vision_tokens_saved", "confidence", "rotation", "uncertain_words",
}  # fmt: skip


def test_read_prints_a_json_object_a_page(tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-")
    done = run(
        "read", DOCUMENTS / "letter.tiff", tmp_path / "broken.pdf", tmp_path / "none.png",
        "--model", TINY_MODEL, "--resolution", "small", "--max-output-length", 300, "--json",
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    pages = sorted((line for line in lines if line["page"]), key=lambda page: page["page"])
    failed = [line for line in lines if not line["page"]]
    assert done.returncode == 1
    assert all(page.keys() == FIELDS for page in pages)
    assert [(page["page"], page["width"]) for page in pages] == [(1, 640), (2, 640)]
    assert "found your order" in pages[0]["markdown"]
    region = pages[0]["regions"][-1]
    assert region["boxes"][0]["normalized"]
    assert region["word_confidences"], "the engine returns the probability of each token"
    assert 0.9 < pages[0]["confidence"] <= 1
    assert {each["error_code"] for each in failed} == {"damaged", "missing_file"}


def test_any_name_in_any_locale_is_read_or_has_its_line(tmp_path: Path) -> None:
    directory = os.fsencode(tmp_path)
    names = [
        b"r\xe9sum\xe9.tiff",
        b"caf\xe9.png",
        b"caf\xe8.png",
        b"line\nend.png",
        b"pipe",
    ]
    shutil.copy(DOCUMENTS / "letter.tiff", directory + b"/" + names[0])
    for name in names[1:4]:
        Path(os.fsdecode(directory + b"/" + name)).write_bytes(b"no image")
    os.mkfifo(tmp_path / "pipe")
    notes = tmp_path / "notes.md"
    done = subprocess.run(
        [
            sys.executable, "-m", "airflow_deepseek_ocr.cli", "read",
            *(directory + b"/" + name for name in reversed(names)), tmp_path,
            "--model", TINY_MODEL, "--resolution", "tiny", "--max-output-length", "8", "--json",
            "--retry-with", "none", "--min-score", "0", "--pages", "1", "--notes", notes,
        ],
        capture_output=True, timeout=200, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    lines = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    short = {line["document"].removeprefix(f"{tmp_path}/"): line["error_code"] for line in lines}
    assert short == {
        "r\\xe9sum\\xe9.tiff": None,
        "caf\\xe9.png": "unsupported_type",
        "caf\\xe8.png": "unsupported_type",
        "line\nend.png": "unsupported_type",
        "pipe": "unsupported_type",
        str(tmp_path): "missing_file",
    }
    assert sum(line.startswith(b"error: ") for line in done.stderr.splitlines()) == 5
    assert "r\\xe9sum\\xe9.tiff | 1 |" in notes.read_text("utf-8")


def test_text_of_a_page_does_not_end_the_run_at_a_terminal_without_its_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setattr(
        "airflow_deepseek_ocr.cli.read._engine",
        lambda *_: ScriptedEngine(lambda _: "5 €"),
    )
    assert main(["read", str(DOCUMENTS / "table.png"), "--min-score", "0"]) == 0
    assert raw.getvalue().endswith(b"page 1 -->\n\n5 \\u20ac\n\n")


def test_content_that_pages_do_not_show_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "airflow_deepseek_ocr.cli.read._engine",
        lambda *_: ScriptedEngine(lambda _: "Please wait"),
    )
    files, placeholder = tmp_path / "files.pdf", tmp_path / "form.pdf"
    files.write_bytes(portfolio("1.pdf", "2.docx"))
    placeholder.write_bytes(form(needs_rendering=True, fields=False))
    options = ["--json", "--pages", "1", "--text-layer", "off", "--retry-with", "none"]
    assert main(["read", str(files), str(placeholder), *options]) == 0
    said = capsys.readouterr()
    cover, page = map(json.loads, said.out.splitlines())
    assert (cover["flags"], cover["attachments"]) == (["unread_attachments"], ["1.pdf", "2.docx"])
    assert cover["score"] == 0.9
    assert (page["flags"], page["score"], page["attachments"]) == (["dynamic_form"], 0.6, [])
    warnings = [line for line in said.err.splitlines() if line.startswith("warning: ")]
    assert warnings == [
        f"warning: {files}: 2 attached files were not read: 1.pdf, 2.docx.",
        f"warning: {placeholder}: {DYNAMIC_FORM}",
    ]


def test_an_option_that_cannot_be_is_refused_before_the_model_is_loaded() -> None:
    for options, said in (
        (("--prompt", "poem"), "markdown, ocr, free"),
        (("--pages", "x"), "1-3,5,10-"),
        (("--dpi", 5), "18 to 1200"),
        (("--min-score", 2), "from 0 to 1"),
        (("--retry-with", "halves"), "slices_2"),
    ):
        done = run("read", DOCUMENTS / "table.png", "--model", "/nowhere", *options)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr


def test_a_page_is_rendered_again_when_its_file_is_closed() -> None:
    letter = DOCUMENTS / "letter.tiff"
    config = Settings(model="m").processing_config(OcrOptions(dpi=72))
    output = _Output(as_json=True, notes=Notes(None, [], Settings(model="m"), config))
    with (
        AttachedFiles([letter], Limits(), read=False) as files,
        Renderer(Limits()) as renderer,
        closing(RenderPool(Limits())) as again,
    ):
        pages = [page for _, page in _pages(renderer, again, files, config, output)]
        assert [page.number for page in pages] == [1, 2]
        for page in pages:
            assert page.render_again is not None
            assert page.render_again().tobytes() == page.image.tobytes()
