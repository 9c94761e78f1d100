"""Documents that are opened like files; their version is a hash of their content."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.regular_file import open_regular_file
from airflow_deepseek_ocr.sources.base import COPY_CHUNK_BYTES, Wanted, overwritten, write_copy

#: Errors of a path that names no file, whatever is tried.
_NO_FILE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
#: Held while a file system is chosen.
_OPENING = threading.Lock()


class FileSource:
    """``file://`` documents on this host.

    :param limits: limits of each document.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def fetch(self, ref: DocumentRef, target: Path, wanted: Wanted) -> DocumentRef | None:
        """See :meth:`airflow_deepseek_ocr.sources.base.Source.fetch`.

        :raises DocumentError: ``missing_file``, ``empty_file``, ``too_many_bytes``, ``unsupported_type``.
        :raises OverwrittenError: ``overwritten``.
        :raises UnavailableError: ``access_denied``, ``changing_file``, ``local_disk``.
        :raises OSError: any other error while reading.
        """
        if ref.version and not wanted(ref):
            return None
        try:
            with self.open(ref.uri) as source:
                found = copy_hashed(source, target, ref, self._limits)
        except PermissionError:
            raise UnavailableError(
                ErrorCode.ACCESS_DENIED,
                f"{ref.uri} cannot be read by the user of this process. Change its permissions.",
            ) from None
        except OSError as error:
            if not isinstance(error, FileNotFoundError) and error.errno not in _NO_FILE:
                raise
            raise DocumentError(
                ErrorCode.MISSING_FILE, f"{ref.uri} is not a file on this host. Check the path."
            ) from None
        if ref.version and found.version != ref.version:
            raise overwritten(ref.uri)
        return found if ref.version or wanted(found) else None

    def open(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """Open a document for reading.

        :raises DocumentError: ``unsupported_type`` for a pipe, a device or a socket; ``document_reference``
            for a file of another host.
        :raises OSError: the file is missing or cannot be read.
        """
        return open_regular(path_of(uri), uri)


class ObjectStorageSource(FileSource):
    """Documents of all schemes that Airflow's ``ObjectStoragePath`` opens, such as ``gs://`` and ``abfs://``.

    :param limits: limits of each document.
    :param conn_id: the Airflow connection; None takes the default connection of the scheme.
    """

    def __init__(self, limits: Limits, conn_id: str | None = None) -> None:
        super().__init__(limits)
        self._conn_id = conn_id

    def open(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """Open a document for reading.

        :raises DocumentError: ``unsupported_scheme`` if a package of the scheme is missing.
        :raises OSError: the document is missing or cannot be read.
        """
        from airflow.sdk import ObjectStoragePath

        try:
            # Airflow's client of connections, and caches of file systems, are not made for several threads.
            with _OPENING:
                path = ObjectStoragePath(uri, conn_id=self._conn_id)
                return path.open("rb")  # type: ignore[no-any-return]
        except (ImportError, ValueError) as error:
            raise DocumentError(
                ErrorCode.UNSUPPORTED_SCHEME,
                f"{uri} cannot be opened: install the Airflow provider and the fsspec package of "
                f"its scheme ({error}).",
            ) from None


def path_of(uri: str) -> bytes:
    """Return the path of a ``file://`` URI, in bytes: the name of a file need not be UTF-8.

    ``#`` and ``?`` belong to the name, as file URIs have neither fragment nor query.

    :raises DocumentError: ``document_reference`` if the URI names another host.
    """
    host, slash, path = uri.partition("://")[2].partition("/")
    if host.lower() not in ("", "localhost"):
        raise DocumentError(
            ErrorCode.DOCUMENT_REFERENCE,
            f"{uri} names the host {host!r}. For a file of the worker write its absolute path after three "
            f"slashes: file:///{host}{slash}{path}",
        )
    return unquote_to_bytes(slash + path)


def open_regular(path: str | bytes, name: str) -> BinaryIO:
    """Open a regular file for reading, without waiting for the writer of a pipe.

    :param path: of the file.
    :param name: of the file, for messages.
    :raises DocumentError: ``unsupported_type`` for a pipe, a device or a socket.
    :raises OSError: the file is missing or cannot be read.
    """
    if (b"\0" if isinstance(path, bytes) else "\0") in path:  # type: ignore[operator]
        raise FileNotFoundError(errno.ENOENT, "No file has such a name", name)
    file = Path(os.fsdecode(path))
    try:
        return open_regular_file(file)
    except ValueError:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name) from None
        raise DocumentError(
            ErrorCode.UNSUPPORTED_TYPE,
            f"{name} is a pipe, a device or a socket. Give the path of a file.",
        ) from None


def copy_hashed(source: BinaryIO, target: Path, ref: DocumentRef, limits: Limits) -> DocumentRef:
    """Copy an open file, and return its reference with the hash of its content as its version.

    :param source: the file, opened for reading.
    :param target: the local file to write.
    :param ref: the document.
    :param limits: limits of the document.
    :raises DocumentError: ``empty_file``, ``too_many_bytes``.
    :raises UnavailableError: ``changing_file`` if a local file was modified meanwhile;
        ``local_disk``.
    """
    digest, size = hashlib.sha256(), 0
    before = _state(source)

    def chunks() -> Iterator[bytes]:
        nonlocal size
        while chunk := source.read(COPY_CHUNK_BYTES):
            size += len(chunk)
            limits.check_bytes(
                size
            )  # while copying: some storages do not report the size beforehand
            digest.update(chunk)
            yield chunk

    write_copy(ref.uri, chunks(), target)
    if _state(source) != before:
        raise UnavailableError(
            ErrorCode.CHANGING_FILE,
            f"{ref.uri} was modified while it was read: the copy may mix two versions. Try again when it "
            "is complete.",
        )
    limits.check_bytes(size)
    return replace(ref, version=f"sha256:{digest.hexdigest()}", size=size)


def _state(source: BinaryIO) -> tuple[int, int] | None:
    """Return size and time of modification (ns) of a local file; None for other storages."""
    try:
        state = os.fstat(source.fileno())
    except (OSError, AttributeError):
        return None
    return state.st_size, state.st_mtime_ns
