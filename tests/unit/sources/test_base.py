"""The choice of a source by its scheme, and copies of content to local files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import (
    DocumentError,
    ErrorCode,
    OverwrittenError,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.base import Sources, Wanted, overwritten, write_copy


class Named:
    """A source that writes its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fetch(self, ref: DocumentRef, target: Path, wanted: Wanted) -> DocumentRef | None:
        if not wanted(ref):
            return None
        target.write_text(self.name)
        return ref


def fetched(sources: Sources, uri: str, target: Path) -> str:
    assert sources.fetch(DocumentRef(uri), target, lambda _: True) == DocumentRef(uri)
    return target.read_text()


def test_the_scheme_selects_the_source(tmp_path: Path) -> None:
    sources = Sources({"s3": lambda: Named("s3"), "file": lambda: Named("file")})
    for uri, name in (("s3://b/k", "s3"), ("S3://b/k", "s3"), ("file:///a", "file")):
        assert fetched(sources, uri, tmp_path / "target") == name
    assert sources.fetch(DocumentRef("s3://b/k"), tmp_path / "no", lambda _: False) is None
    assert not (tmp_path / "no").exists()


def test_a_source_is_created_once_when_it_is_needed(tmp_path: Path) -> None:
    created: list[str] = []

    def create() -> Named:
        created.append("s3")
        return Named("s3")

    sources = Sources({"s3": create})
    assert created == []
    for _ in range(2):
        fetched(sources, "s3://b/k", tmp_path / "target")
    assert created == ["s3"]


def test_other_schemes_have_the_fallback_or_an_error(tmp_path: Path) -> None:
    with_fallback = Sources({"s3": lambda: Named("s3")}, fallback=lambda: Named("any"))
    assert fetched(with_fallback, "gs://b/k", tmp_path / "target") == "any"
    without = Sources({"s3": lambda: Named("s3"), "file": lambda: Named("file")})
    with pytest.raises(DocumentError, match=r"gs://.*s3, file") as caught:
        without.fetch(DocumentRef("gs://b/k"), tmp_path / "target", lambda _: True)
    assert caught.value.code is ErrorCode.UNSUPPORTED_SCHEME


@pytest.mark.parametrize("lasting", [False, True])
def test_a_copy_has_the_whole_content(tmp_path: Path, lasting: bool) -> None:
    target = tmp_path / "copy"
    target.write_bytes(b"longer content of an earlier document")
    write_copy("s3://b/k", [b"one", b"", b"two"], target, lasting=lasting)
    assert target.read_bytes() == b"onetwo"


def test_errors_of_the_target_are_local(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="s3://b/k cannot be copied") as caught:
        write_copy("s3://b/k", [b"one"], tmp_path / "missing" / "copy")
    assert caught.value.code is ErrorCode.LOCAL_DISK


def test_a_full_disk_is_a_local_error() -> None:
    with pytest.raises(UnavailableError, match="Free disk space") as caught:
        write_copy("s3://b/k", [bytes(1 << 20)], Path("/dev/full"))
    assert caught.value.code is ErrorCode.LOCAL_DISK


def test_errors_of_the_content_are_not_changed(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise ConnectionResetError("the storage is gone")

    with pytest.raises(ConnectionResetError, match="storage is gone"):
        write_copy("s3://b/k", chunks(), tmp_path / "copy")


def test_an_overwritten_document_names_its_uri() -> None:
    error = overwritten("s3://b/k")
    assert isinstance(error, OverwrittenError)
    assert error.code is ErrorCode.OVERWRITTEN
    assert "s3://b/k was overwritten" in str(error)
