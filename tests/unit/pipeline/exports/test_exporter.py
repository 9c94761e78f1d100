"""The writing of exports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.exports.exported import ExportedDocument
from airflow_deepseek_ocr.ocr.exports.formats import Format
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.pipeline.exports.exporter import Exported, Exporter
from airflow_deepseek_ocr.pipeline.exports.original import Original
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from tests.support.exported import document, page, region, sample


class _Log(DirectoryTarget):
    """A directory that remembers what happened, and fails from a file on."""

    def __init__(self, directory: Path, fails_at: str = "") -> None:
        super().__init__(directory)
        self.events: list[str] = []
        self._fails_at = fails_at

    def put(self, name: str, content: bytes | Path, media_type: str) -> None:
        if self._fails_at and name.endswith(self._fails_at):
            raise UnavailableError(ErrorCode.STORAGE_UNAVAILABLE, "Away; try again.")
        super().put(name, content, media_type)
        self.events.append(f"put {name}")

    def remove(self, name: str) -> None:
        super().remove(name)
        self.events.append(f"remove {name}")


def export(target: DirectoryTarget, shown: ExportedDocument, *formats: Format) -> Exported:
    def none() -> Original:
        raise AssertionError

    with PdfMaker(Limits()) as maker:
        return Exporter(target, formats, maker).export(shown, "a", none)


def test_the_manifest_is_last_and_names_all_files(tmp_path: Path) -> None:
    target = _Log(tmp_path)
    exported = export(target, sample(), Format.TEXT, Format.CSV)
    assert target.events == [
        "put a/document.txt",
        "put a/tables/p0001-1.csv",
        "put a/manifest.json",
    ]
    assert [(each.kind, each.page_number, each.name) for each in exported.files] == [
        ("text", None, "document.txt"),
        ("csv", 1, "tables/p0001-1.csv"),
        ("manifest", None, "manifest.json"),
    ]
    for each in exported.files:
        assert Path(each.uri.removeprefix("file://")).stat().st_size == each.size_bytes
    assert (exported.written, exported.written_bytes) == (
        3,
        sum(each.size_bytes for each in exported.files),
    )


def test_files_that_are_no_longer_made_are_removed_after_the_manifest(tmp_path: Path) -> None:
    target = _Log(tmp_path)
    export(target, sample(), Format.TEXT, Format.CSV)
    target.events.clear()
    export(target, document(page(1, region(1, "no table"))), Format.TEXT, Format.CSV)
    assert target.events == [
        "put a/manifest.json",
        "put a/document.txt",
        "put a/manifest.json",
        "remove a/tables/p0001-1.csv",
    ]


def test_another_format_keeps_the_files_of_the_first(tmp_path: Path) -> None:
    target = _Log(tmp_path)
    export(target, sample(), Format.TEXT)
    again = export(target, sample(), Format.JSON)
    assert [each.name for each in again.files] == [
        "document.txt",
        "document.json",
        "manifest.json",
    ]
    assert export(target, sample(), Format.TEXT, Format.JSON).written == 0


def test_half_written_exports_have_no_manifest_and_are_completed(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="Away"):
        export(_Log(tmp_path, "pages.jsonl"), sample(), Format.TEXT, Format.JSONL)
    assert not (tmp_path / "a/manifest.json").exists()
    assert export(_Log(tmp_path), sample(), Format.TEXT, Format.JSONL).written == 3


def test_results_that_are_as_before_a_killed_export_are_written_again(tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path)
    export(target, sample(), Format.TEXT, Format.JSON)
    before = (tmp_path / "a/document.txt").read_bytes()
    corrected = document(page(1, region(1, "corrected")))
    with pytest.raises(UnavailableError):
        export(_Log(tmp_path, "document.json"), corrected, Format.TEXT, Format.JSON)
    assert (tmp_path / "a/document.txt").read_bytes() != before
    export(target, sample(), Format.TEXT, Format.JSON)
    assert (tmp_path / "a/document.txt").read_bytes() == before


def test_formats_that_another_task_wrote_meanwhile_stay(tmp_path: Path) -> None:
    class _Other(DirectoryTarget):
        def put(self, name: str, content: bytes | Path, media_type: str) -> None:
            super().put(name, content, media_type)
            if name.endswith("document.txt"):
                export(DirectoryTarget(tmp_path), sample(), Format.JSON)

    exported = export(_Other(tmp_path), sample(), Format.TEXT)
    assert {each.name for each in exported.files} >= {"document.txt", "document.json"}


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "tables/../../outside", ".."])
def test_a_forged_manifest_removes_no_other_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("stays")
    target = _Log(tmp_path / "exports")
    export(target, sample(), Format.TEXT)
    path = tmp_path / "exports/a/manifest.json"
    path.write_text(path.read_text().replace("document.txt", name))
    export(target, replace(sample(), model="x"), Format.TEXT)
    assert (tmp_path / "outside").exists()
    assert not [each for each in target.events if each.startswith("remove")]


def test_a_manifest_that_is_none_is_written_again(tmp_path: Path) -> None:
    export(DirectoryTarget(tmp_path), sample(), Format.TEXT)
    (tmp_path / "a/manifest.json").write_text("{}")
    assert export(DirectoryTarget(tmp_path), replace(sample(), model="x"), Format.TEXT).written == 2
