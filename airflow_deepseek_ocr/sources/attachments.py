"""Files that are attached to documents, fetched from the documents that contain them."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode, local_disk
from airflow_deepseek_ocr.ocr.documents.base import Document
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from airflow_deepseek_ocr.sources.base import Source, Wanted, write_copy
from airflow_deepseek_ocr.temporary_directory import temporary_directory


@dataclass
class _Copy:
    """The copy of a document with attached files.

    :ivar key: its version key.
    :ivar file: its content; the file has no name, so that a killed process leaves nothing.
    :ivar taken: bytes of the files that were taken from it.
    """

    key: str
    file: IO[bytes]
    taken: int = 0

    @property
    def path(self) -> Path:
        return Path(f"/proc/self/fd/{self.file.fileno()}")


class AttachmentSource:
    """Fetches attached files and all other documents; several threads may use it.

    The last document with attached files is kept, with at most one attached file that contains others: its
    files follow each other in the queue.

    :param base: fetches documents that are not attached to others.
    :param limits: limits of each document; all files of one document together have at most ``max_bytes``.
    :param sandbox: restrictions of the process that decodes documents.
    """

    def __init__(self, base: Source, limits: Limits, sandbox: Sandbox = Sandbox.AUTO) -> None:
        self._base, self._limits = base, limits
        self._renderer = Renderer(limits, sandbox)
        self._copies: dict[int, _Copy] = {}
        self._open: tuple[str, Document] | None = None
        self._lock = threading.Lock()

    def fetch(self, ref: DocumentRef, target: Path, wanted: Wanted) -> DocumentRef | None:
        """See :meth:`Source.fetch`.

        :raises DocumentError: besides the errors of the source and of opening the document that contains an
            attached file: ``missing_file``, ``empty_file``, ``too_many_bytes``, ``damaged``.
        """
        container = ref.container
        if container is None:
            return self._base.fetch(ref, target, wanted)
        if not wanted(ref):
            return None
        with self._lock:
            return replace(ref, size=self._extract(container, ref, target))

    def close(self) -> None:
        """Remove the copies, and end the process."""
        self._open = None
        self._renderer.close()
        for copy in self._copies.values():
            copy.file.close()
        self._copies.clear()

    def _extract(self, container: DocumentRef, ref: DocumentRef, target: Path) -> int:
        """Write an attached file, and return its bytes."""
        copy = self._copy_of(container)
        size = 0

        def chunks() -> Iterator[bytes]:
            nonlocal size
            for chunk in self._opened(copy).attached_content(ref.attachment_number):
                size += len(chunk)
                copy.taken += len(chunk)
                if copy.taken > self._limits.max_bytes:
                    raise DocumentError(
                        ErrorCode.TOO_MANY_BYTES,
                        f"The files attached to {container.uri} have more than {self._limits.max_bytes:,} "
                        "bytes together. Extract them and read them as documents, or raise max_bytes.",
                    )
                yield chunk

        try:
            write_copy(ref.uri, chunks(), target)
        except BaseException:
            # A process may have died of it; the next file gets the document opened anew.
            self._open = None
            raise
        self._limits.check_bytes(size)
        return size

    def _opened(self, copy: _Copy) -> Document:
        if self._open is None or self._open[0] != copy.key:
            self._open = None
            first_page = PageSelection.parse("1")
            document = self._renderer.open(copy.path, selection=first_page, attachments=True)
            self._open = copy.key, document
        return self._open[1]

    def _copy_of(self, ref: DocumentRef) -> _Copy:
        kept = self._copies.get(ref.depth)
        if kept is not None and kept.key == ref.version_key:
            return kept
        copy = _Copy(ref.version_key, _unnamed_file())
        try:
            if ref.container is None:
                self._base.fetch(ref, copy.path, lambda _: True)
            else:
                self._extract(ref.container, ref, copy.path)
        except BaseException:
            copy.file.close()
            raise
        if kept is not None:
            kept.file.close()
        self._copies[ref.depth] = copy
        return copy


def _unnamed_file() -> IO[bytes]:
    directory = temporary_directory()
    try:
        return tempfile.TemporaryFile(dir=directory)
    except OSError as error:
        raise local_disk(f"No temporary file can be created in {directory}", error) from error
