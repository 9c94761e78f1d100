"""Paths of copies, and the bound of their bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.document_copies import DocumentCopies


def ref(size: int | None) -> DocumentRef:
    return DocumentRef("s3://b/a", "v", None, "v", size)


def test_each_copy_has_another_path(tmp_path: Path) -> None:
    copies = DocumentCopies(tmp_path)
    paths = {copies.reserve(ref(1)) for _ in range(3)}
    assert {path.name for path in paths if path} == {"document-0", "document-1", "document-2"}


def test_copies_wait_for_room_and_a_single_document_never_does(tmp_path: Path) -> None:
    copies = DocumentCopies(tmp_path, most_bytes=100)
    large = copies.reserve(ref(1000))
    assert large is not None
    assert copies.reserve(ref(1)) is None
    copies.remove(large)
    first, second = copies.reserve(ref(60)), copies.reserve(ref(40))
    assert first is not None
    assert second is not None
    assert copies.reserve(ref(1)) is None
    copies.remove(second)
    assert copies.reserve(ref(41)) is None
    assert copies.reserve(ref(40)) is not None


def test_copies_leave_most_of_a_small_disk_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=400)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    copies = DocumentCopies(tmp_path)
    assert copies.reserve(ref(60)) is not None
    assert copies.reserve(ref(41)) is None
    assert copies.reserve(ref(40)) is not None


def test_the_size_of_the_file_replaces_the_guess(tmp_path: Path) -> None:
    copies = DocumentCopies(tmp_path, most_bytes=100)
    path = copies.reserve(ref(None))
    assert path is not None
    assert copies.reserve(ref(1)) is None
    path.write_bytes(bytes(90))
    copies.measure(path)
    assert copies.reserve(ref(10)) is not None


def test_a_copy_is_removed_once(tmp_path: Path) -> None:
    copies = DocumentCopies(tmp_path)
    path = copies.reserve(ref(1))
    assert path is not None
    path.write_bytes(b"a")
    copies.remove(path)
    copies.remove(path)
    assert not path.exists()
