"""Local files: versions by content, missing and changing files."""

from __future__ import annotations

import hashlib
import io
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import (
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    OverwrittenError,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.sources.files import (
    FileSource,
    ObjectStorageSource,
    copy_hashed,
    open_regular,
    path_of,
)
from tests.support.descriptors import no_descriptor_left


def version_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def ref(tmp_path: Path) -> DocumentRef:
    """A document named with a space and a letter that URIs escape."""
    (tmp_path / "größe 1.pdf").write_bytes(b"content")
    return DocumentRef(f"file://{tmp_path}/gr%C3%B6%C3%9Fe%201.pdf")


@pytest.fixture
def source() -> FileSource:
    return FileSource(Limits(max_bytes=100))


def error_of(source: FileSource, ref: DocumentRef, target: Path) -> DeepSeekOCRError:
    with pytest.raises(DeepSeekOCRError) as caught:
        source.fetch(ref, target, lambda _: True)
    return caught.value


def test_the_version_is_the_hash_of_the_content(
    source: FileSource, ref: DocumentRef, tmp_path: Path
) -> None:
    asked: list[DocumentRef] = []

    def wanted(found: DocumentRef) -> bool:
        asked.append(found)
        return True

    found = source.fetch(ref, tmp_path / "copy", wanted)
    assert found == replace(ref, version=version_of(b"content"), size=7)
    assert (tmp_path / "copy").read_bytes() == b"content"
    assert asked == [found]


def test_a_version_that_is_not_wanted_is_not_fetched(
    source: FileSource, ref: DocumentRef, tmp_path: Path
) -> None:
    known = replace(ref, version=version_of(b"content"))
    assert source.fetch(known, tmp_path / "copy", lambda _: False) is None
    assert not (tmp_path / "copy").exists(), "the version is known before the content is read"
    assert source.fetch(ref, tmp_path / "copy", lambda _: False) is None


def test_a_known_version_is_fetched_or_overwritten(
    source: FileSource, ref: DocumentRef, tmp_path: Path
) -> None:
    known = replace(ref, version=version_of(b"content"))
    assert source.fetch(known, tmp_path / "copy", lambda _: True) == replace(known, size=7)
    (tmp_path / "größe 1.pdf").write_bytes(b"new content")
    assert isinstance(error_of(source, known, tmp_path / "copy"), OverwrittenError)


@pytest.mark.parametrize("name", ["missing.pdf", "", "größe 1.pdf/below"])
def test_a_missing_file(source: FileSource, ref: DocumentRef, tmp_path: Path, name: str) -> None:
    error = error_of(source, DocumentRef(f"file://{tmp_path}/{name}"), tmp_path / "copy")
    assert isinstance(error, DocumentError)
    assert error.code is ErrorCode.MISSING_FILE


def test_a_file_that_may_not_be_read(ref: DocumentRef, tmp_path: Path) -> None:
    class Denied(FileSource):
        """Root may read every file, so the refusal is raised here."""

        def open(self, uri: str) -> io.BufferedReader:
            raise PermissionError(uri)

    error = error_of(Denied(Limits()), ref, tmp_path / "copy")
    assert isinstance(error, UnavailableError)
    assert error.code is ErrorCode.ACCESS_DENIED


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", ErrorCode.EMPTY_FILE), (bytes(101), ErrorCode.TOO_MANY_BYTES)],
)
def test_the_limit_on_bytes(
    source: FileSource, ref: DocumentRef, tmp_path: Path, content: bytes, code: ErrorCode
) -> None:
    (tmp_path / "größe 1.pdf").write_bytes(content)
    assert error_of(source, ref, tmp_path / "copy").code is code


def test_copying_stops_at_the_limit(tmp_path: Path) -> None:
    endless = io.BytesIO(bytes(10 << 20))
    with pytest.raises(DocumentError) as caught:
        copy_hashed(endless, tmp_path / "copy", DocumentRef("gs://b/k"), Limits(max_bytes=100))
    assert caught.value.code is ErrorCode.TOO_MANY_BYTES
    assert endless.tell() == 1 << 20, "one chunk was read"


def test_a_file_that_changes_while_it_is_copied(tmp_path: Path) -> None:
    path = tmp_path / "growing.pdf"
    path.write_bytes(b"first")
    with path.open("rb") as file:

        class Growing(io.RawIOBase):
            """Reads the file, to which another process appends meanwhile."""

            def fileno(self) -> int:
                return file.fileno()

            def read(self, size: int = -1) -> bytes:
                chunk = file.read(size)
                if chunk == b"first":
                    with path.open("ab") as writer:
                        writer.write(b" second")
                    os.utime(path, ns=(1, 1))
                return chunk

        with pytest.raises(UnavailableError, match="modified") as caught:
            copy_hashed(Growing(), tmp_path / "copy", DocumentRef(path.as_uri()), Limits())  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.CHANGING_FILE


def test_a_storage_without_file_descriptors(tmp_path: Path) -> None:
    ref = DocumentRef("gs://b/k")
    found = copy_hashed(io.BytesIO(b"content"), tmp_path / "copy", ref, Limits())
    assert found == replace(ref, version=version_of(b"content"), size=7)


def test_object_storage_opens_what_airflow_opens(ref: DocumentRef, tmp_path: Path) -> None:
    source = ObjectStorageSource(Limits())
    local = DocumentRef(f"file://{tmp_path}/größe 1.pdf")
    found = source.fetch(local, tmp_path / "copy", lambda _: True)
    assert found is not None
    assert found.version == version_of(b"content")
    error = error_of(source, DocumentRef("nosuchscheme://b/k"), tmp_path / "copy")
    assert error.code is ErrorCode.UNSUPPORTED_SCHEME


@pytest.mark.parametrize("kind", ["pipe", "device", "endless", "socket", "link"])
def test_only_regular_files_are_opened(source: FileSource, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.pdf"
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            listener.bind(str(path))
        elif kind == "link":
            os.mkfifo(tmp_path / "pipe")
            path.symlink_to(tmp_path / "pipe")
        else:
            path = Path("/dev/null" if kind == "device" else "/dev/zero")
        with pytest.raises(DocumentError) as caught:
            source.fetch(DocumentRef(f"file://{path}"), tmp_path / "copy", lambda _: True)
    assert caught.value.code is ErrorCode.UNSUPPORTED_TYPE
    assert not (tmp_path / "copy").exists()


NAMES = [
    b"caf\xe9.pdf",
    b"two words.pdf",
    b"a#b.pdf",
    b"a?b=c.pdf",
    b"100%.pdf",
    b"a%25b.pdf",
    b"a+b&c;d.pdf",
    b"line\nend\tand tab.pdf",
    "größe €.pdf".encode(),
    b"\xff\xfe",
    b"[x].pdf",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("start", ["file://", "file://localhost", "FILE://LocalHost"])
def test_any_name_is_found_by_its_uri(
    source: FileSource, tmp_path: Path, name: bytes, start: str
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_bytes(name)
    ref = DocumentRef(path.as_uri().replace("file://", start))
    found = source.fetch(ref, tmp_path / "copy", lambda _: True)
    assert found is not None
    assert (tmp_path / "copy").read_bytes() == name


@pytest.mark.parametrize("name", [name for name in NAMES if b"%" not in name])
def test_names_need_no_percent_encoding(source: FileSource, tmp_path: Path, name: bytes) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    Path(path).write_bytes(name)
    found = source.fetch(DocumentRef(f"file://{path}"), tmp_path / "copy", lambda _: True)
    assert found is not None
    assert (tmp_path / "copy").read_bytes() == name
    found.uri.encode("utf-8")


@pytest.mark.parametrize(
    "uri", ["file://data/a.pdf", "file://./a.pdf", "file://a.pdf", "file://[::1]/a"]
)
def test_a_file_of_another_host_is_refused(source: FileSource, tmp_path: Path, uri: str) -> None:
    error = error_of(source, DocumentRef(uri), tmp_path / "copy")
    assert (type(error), error.code) == (DocumentError, ErrorCode.DOCUMENT_REFERENCE)
    assert uri.replace("file://", "file:///") in str(error)


@pytest.mark.parametrize("name", ["a%00b.pdf", "a\0b.pdf", "x" * 300, "\ud800.pdf"])
def test_a_name_that_no_file_has(source: FileSource, tmp_path: Path, name: str) -> None:
    error = error_of(source, DocumentRef(f"file://{tmp_path}/{name}"), tmp_path / "copy")
    assert (type(error), error.code) == (DocumentError, ErrorCode.MISSING_FILE)
    str(error).encode("utf-8")


def test_a_path_that_leads_to_itself(source: FileSource, tmp_path: Path) -> None:
    (tmp_path / "loop.pdf").symlink_to(tmp_path / "loop.pdf")
    error = error_of(source, DocumentRef(f"file://{tmp_path}/loop.pdf"), tmp_path / "copy")
    assert error.code is ErrorCode.MISSING_FILE


def test_the_path_of_a_uri_is_bytes() -> None:
    assert path_of("file:///data/caf%E9%20%23%3F%25.pdf") == b"/data/caf\xe9 #?%.pdf"
    assert path_of("file://localhost/data/%C3%A9") == "/data/é".encode()


def test_a_directory_is_no_regular_file_and_leaves_no_descriptor(tmp_path: Path) -> None:
    with no_descriptor_left(), pytest.raises(IsADirectoryError):
        open_regular(str(tmp_path), "a directory")
