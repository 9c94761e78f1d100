"""Attached files, fetched from the documents that contain them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import DocumentError, OverwrittenError, UnavailableError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile
from airflow_deepseek_ocr.sources.attachments import AttachmentSource
from airflow_deepseek_ocr.sources.base import Wanted
from airflow_deepseek_ocr.sources.files import FileSource
from tests.support.unshown_pdfs import containing, pdf, saved

LIMITS = Limits(max_bytes=1_000_000)


class CountingSource(FileSource):
    """Counts what is fetched."""

    def __init__(self) -> None:
        super().__init__(LIMITS)
        self.fetched: list[str] = []

    def fetch(self, ref: DocumentRef, target: Path, wanted: Wanted) -> DocumentRef | None:
        self.fetched.append(ref.uri.rpartition("/")[2])
        return super().fetch(ref, target, wanted)


@pytest.fixture
def base() -> CountingSource:
    return CountingSource()


@pytest.fixture
def source(base: CountingSource) -> Iterator[AttachmentSource]:
    with closing(AttachmentSource(base, LIMITS)) as made:
        yield made


@pytest.fixture
def container(tmp_path: Path, base: CountingSource) -> DocumentRef:
    inner = saved(containing(pdf(), [("deep.png", b"deep"), ("deeper.png", b"deeper")]))
    files = [("a.png", b"first"), ("in.pdf", inner), ("b.png", b"last"), ("x.png", bytes(999_000))]
    path = tmp_path / "c.pdf"
    path.write_bytes(saved(containing(pdf(), files)))
    found = base.fetch(DocumentRef(path.as_uri()), tmp_path / "copy", lambda _: True)
    base.fetched.clear()
    assert found is not None
    return found


def fetch(source: AttachmentSource, ref: DocumentRef, target: Path) -> bytes:
    fetched = source.fetch(ref, target, lambda _: True)
    assert fetched is not None
    assert fetched.version_key == ref.version_key
    assert fetched.size == target.stat().st_size
    return target.read_bytes()


def test_files_come_from_one_copy_of_their_container(
    source: AttachmentSource, base: CountingSource, container: DocumentRef, tmp_path: Path
) -> None:
    names = ["a.png", "in.pdf", "b.png"]
    files = [AttachedFile(number, name) for number, name in enumerate(names, 1)]
    first, inner, last = container.attachments(files)
    deep, deeper = inner.attachments([AttachedFile(1, "deep.png"), AttachedFile(2, "deeper.png")])
    target = tmp_path / "target"
    assert fetch(source, first, target) == b"first"
    assert fetch(source, inner, target).startswith(b"%PDF-")
    assert fetch(source, last, target) == b"last"
    assert fetch(source, deep, target) == b"deep"
    assert fetch(source, deeper, target) == b"deeper"
    assert fetch(source, first, target) == b"first"
    assert base.fetched == ["c.pdf"]


def test_a_file_that_is_not_wanted_is_not_fetched(
    source: AttachmentSource, base: CountingSource, container: DocumentRef, tmp_path: Path
) -> None:
    (ref,) = container.attachments([AttachedFile(1, "a.png")])
    assert source.fetch(ref, tmp_path / "target", lambda _: False) is None
    assert base.fetched == []


def test_files_together_are_limited(
    source: AttachmentSource, container: DocumentRef, tmp_path: Path
) -> None:
    large, inner, missing = container.attachments(
        [AttachedFile(4, "x.png"), AttachedFile(2, "in.pdf"), AttachedFile(9, "none.png")]
    )
    target = tmp_path / "target"
    assert len(fetch(source, large, target)) == 999_000
    with pytest.raises(DocumentError, match="together") as raised:
        fetch(source, inner, target)
    assert raised.value.code == "too_many_bytes"
    with pytest.raises(DocumentError) as raised:
        fetch(source, missing, target)
    assert raised.value.code == "missing_file"


def test_a_container_of_another_version_is_overwritten(
    source: AttachmentSource, container: DocumentRef, tmp_path: Path
) -> None:
    (tmp_path / "c.pdf").write_bytes(saved(pdf()))
    (ref,) = container.attachments([AttachedFile(1, "a.png")])
    with pytest.raises(OverwrittenError):
        fetch(source, ref, tmp_path / "target")


def test_a_missing_directory_is_named(
    source: AttachmentSource,
    container: DocumentRef,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", "/no/such/directory")
    (ref,) = container.attachments([AttachedFile(1, "a.png")])
    with pytest.raises(UnavailableError, match="/no/such/directory") as raised:
        fetch(source, ref, tmp_path / "target")
    assert raised.value.code == "local_disk"
