"""Exports of the pipeline, with files, SQLite and a fake engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from sqlalchemy import text, update

from airflow_deepseek_ocr.exceptions import (
    DatabaseError,
    DocumentError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.base import Document
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.exports.formats import Format, parse_formats
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool, SharedDocument
from airflow_deepseek_ocr.pipeline.exports.export_queue import ExportPlan
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.files import FileSource
from airflow_deepseek_ocr.store.pages import exported_documents
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from tests.support.fakes.batch_engine import CONFIG, DOCUMENTS, LIMITS, FakeEngine

LETTER = DocumentRef((DOCUMENTS / "letter.tiff").as_uri())
TABLE = DocumentRef((DOCUMENTS / "table.png").as_uri())
OUTPUT = (
    "<|ref|>title<|/ref|><|det|>[[80, 60, 600, 160]]<|/det|># Order needle\n\n"
    "<|ref|>image<|/ref|><|det|>[[100, 300, 400, 600]]<|/det|>\n"
)


class _Engine(FakeEngine):
    """An engine whose output has places."""

    def read(self, requests: Any, progress: Any = None) -> Any:
        for output in super().read(requests, progress):
            yield replace(output, text=OUTPUT)


class _BrokenTarget(DirectoryTarget):
    """A directory that takes no PDFs."""

    def put(self, name: str, content: bytes | Path, media_type: str) -> None:
        if name.endswith(".pdf"):
            raise UnavailableError(ErrorCode.ACCESS_DENIED, "No PDFs here; grant the right.")
        super().put(name, content, media_type)


@pytest.fixture
def make(store: Store) -> Callable[..., Pipeline]:
    def pipeline(target: DirectoryTarget, *formats: str, **changes: Any) -> Pipeline:
        usual = {
            "sources": Sources({"file": lambda: FileSource(LIMITS)}),
            "get_engine": _Engine,
            "store": store,
            "config": CONFIG,
            "options": PipelineOptions(limits=LIMITS),
            "exports": ExportPlan(target, parse_formats(formats)),
        }
        return Pipeline(**usual | changes)

    return pipeline


def names(directory: Path) -> set[str]:
    return {
        str(path.relative_to(directory)).partition(".ocr/")[2]
        for path in directory.rglob("*")
        if path.is_file()
    }


def stored(store: Store) -> list[tuple[str, str, str]]:
    with store.database.engine.connect() as connection:
        query = "SELECT kind, name, sha256 FROM ocr_exports ORDER BY name, document_id"
        return [tuple(row) for row in connection.execute(text(query))]  # type: ignore[misc]


def test_all_formats_of_a_document_are_written_with_a_manifest_and_rows(
    make: Callable[..., Pipeline], store: Store, tmp_path: Path
) -> None:
    summary = make(DirectoryTarget(tmp_path / "out"), "all").run([TABLE])
    found = names(tmp_path / "out")
    assert found == {
        "document.md",
        "document.txt",
        "document.json",
        "pages.jsonl",
        "regions.jsonl",
        "docling.json",
        "document.pdf",
        "document.hocr.html",
        "page-0001.alto.xml",
        "page-0001.webp",
        "page-0001.overlay.webp",
        "figures/p0001-2.webp",
        "manifest.json",
    }
    assert {name for _, name, _ in stored(store)} == found
    assert summary.exports["files"] == len(found)
    assert summary.failed_exports == {}
    (pdf,) = (tmp_path / "out").rglob("document.pdf")
    assert "needle" in pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_range()
    (manifest,) = (tmp_path / "out").rglob("manifest.json")
    assert set(json.loads(manifest.read_text())["formats"]) == set(Format)


def test_nothing_is_written_again_until_something_changes(
    make: Callable[..., Pipeline], store: Store, tmp_path: Path
) -> None:
    make(DirectoryTarget(tmp_path / "out"), "markdown", "text", "webp").run([TABLE])
    before = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    again = make(DirectoryTarget(tmp_path / "out"), "markdown", "text", "webp").run([TABLE])
    assert (again.exports["unchanged"], again.exports["files"]) == (1, 0)
    page = store.database.rows.page
    store.database.transaction(
        lambda session: session.execute(update(page).values(reviewed_text="# Mended"))
    )
    summary = make(DirectoryTarget(tmp_path / "out"), "markdown", "text", "webp").run([TABLE])
    after = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    changed = {path.name for path in after if before.get(path) != after[path]}
    assert changed == {"document.md", "document.txt", "manifest.json"}
    assert summary.exports["files"] == 3
    assert "# Mended" in next((tmp_path / "out").rglob("document.md")).read_text()


def test_exports_that_were_lost_are_made_by_the_retry_of_stored_documents(
    make: Callable[..., Pipeline], store: Store, tmp_path: Path
) -> None:
    failed = make(_BrokenTarget(tmp_path / "out"), "text", "pdf").run([TABLE, LETTER])
    assert {uri: reason[:13] for uri, reason in failed.failed_exports.items()} == {
        TABLE.uri: "access_denied",
        LETTER.uri: "access_denied",
    }
    assert failed.documents["done"] == 2
    assert stored(store) == []
    assert "manifest.json" not in names(tmp_path / "out")
    retried = make(DirectoryTarget(tmp_path / "out"), "text", "pdf").run([TABLE, LETTER])
    assert retried.documents["skipped"] == 2
    assert retried.failed_exports == {}
    assert names(tmp_path / "out") == {"document.txt", "document.pdf", "manifest.json"}
    assert len(stored(store)) == 6


def test_a_formats_failure_by_the_document_leaves_the_others(
    make: Callable[..., Pipeline], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    form = DocumentRef((DOCUMENTS / "form_dd0293.pdf").as_uri())
    summary = make(DirectoryTarget(tmp_path / "out"), "text", "pdf").run([form])
    assert names(tmp_path / "out") == {"document.txt", "manifest.json"}
    assert (summary.exports["refused"], summary.failed_exports) == (1, {})
    assert "export_protected" in caplog.text
    manifest = json.loads(next((tmp_path / "out").rglob("manifest.json")).read_text())
    assert manifest["formats"]["pdf"]["error_code"] == "export_protected"
    again = make(DirectoryTarget(tmp_path / "out"), "text", "pdf").run([form])
    assert again.exports["unchanged"] == 1


def test_a_page_that_cannot_be_rendered_now_fails_its_export_and_is_made_by_the_retry(
    make: Callable[..., Pipeline], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = RenderPool.submit_later

    def busy(self: RenderPool, document: SharedDocument, work: Any) -> Future[Any]:
        def timed(opened: Document) -> Any:
            page = work(opened)
            if page.number == 2:
                raise DocumentError(ErrorCode.TOO_SLOW, "Page 2 took more than 60 seconds.")
            return page

        return submit(self, document, timed)

    make(DirectoryTarget(tmp_path / "out"), "text").run([LETTER])
    with monkeypatch.context() as patch:
        patch.setattr(RenderPool, "submit_later", busy)
        failed = make(DirectoryTarget(tmp_path / "out"), "text", "webp").run([LETTER])
    assert failed.failed_exports[LETTER.uri].startswith("too_slow: webp: The picture of page 2")
    assert failed.exports["refused"] == 0
    assert {name for kind, name, _ in stored(store) if kind == "webp"} == {"page-0001.webp"}
    retried = make(DirectoryTarget(tmp_path / "out"), "text", "webp").run([LETTER])
    assert retried.failed_exports == {}
    # The second page's picture and the manifest; the others were made before.
    assert retried.exports["files"] == 2
    assert {name for kind, name, _ in stored(store) if kind == "webp"} == {
        "page-0001.webp",
        "page-0002.webp",
    }
    again = make(DirectoryTarget(tmp_path / "out"), "text", "webp").run([LETTER])
    assert again.exports["unchanged"] == 1


def test_a_defect_fails_the_export_and_a_lost_database_the_batch(
    make: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a defect")

    class _Defect(DirectoryTarget):
        read = broken  # type: ignore[assignment]

    summary = make(_Defect(tmp_path / "out"), "text").run([TABLE])
    assert summary.failed_exports[TABLE.uri].startswith("export_failed: RuntimeError: a defect")

    def lost(*_: Any) -> None:
        raise DatabaseError(ErrorCode.DATABASE_UNAVAILABLE, "gone")

    monkeypatch.setattr("airflow_deepseek_ocr.pipeline.exports.export_queue.read_document", lost)
    assert exported_documents.read_document is not lost
    with pytest.raises(DatabaseError, match="gone"):
        make(DirectoryTarget(tmp_path / "out"), "text").run([LETTER])
