"""The files of the command ``read``, each followed by those that are attached to it."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.reference import MAX_DEPTH, DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile
from airflow_deepseek_ocr.sources.base import write_copy
from airflow_deepseek_ocr.temporary_directory import temporary_directory


@dataclass(frozen=True)
class NamedFile:
    """A file, and the name under which it is reported.

    :param path: its path.
    :param name: the same; for an attached file, the name of the file that contains it with a fragment.
    :param depth: how many files contain it.
    """

    path: Path
    name: Path
    depth: int = 0


class AttachedFiles(AbstractContextManager["AttachedFiles"]):
    """Files, and copies of those that are attached to them.

    The copies stay until the end: a page may be rendered again while later files are read.

    :param files: the files of the command.
    :param limits: limits of each file; files attached to one file together have at most ``max_bytes``.
    :param read: whether attached files are read.
    """

    def __init__(self, files: Sequence[Path], limits: Limits, *, read: bool) -> None:
        self._waiting = deque(NamedFile(file, file) for file in files)
        self._limits, self._read = limits, read
        self._directory = tempfile.TemporaryDirectory(dir=temporary_directory())
        self._numbers = count()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._directory.cleanup()

    def __iter__(self) -> Iterator[NamedFile]:
        while self._waiting:
            yield self._waiting.popleft()

    def reads_attachments(self, file: NamedFile) -> bool:
        """Return whether files that are attached to this one are read."""
        return self._read and file.depth < MAX_DEPTH

    def extract(
        self, file: NamedFile, document: Document, found: Sequence[tuple[int | None, AttachedFile]]
    ) -> Iterator[tuple[Path, DeepSeekOCRError]]:
        """Copy attached files, to be read after this one; yield the names of those that fail.

        :param file: the file.
        :param document: the same, open.
        :param found: attached files, each with its page or None.
        """
        copies, size = [], 0
        for name, number in _names(file, found):
            path = Path(self._directory.name) / str(next(self._numbers))
            try:
                write_copy(str(name), document.attached_content(number), path)
                size += path.stat().st_size
                self._check(size)
            except DeepSeekOCRError as error:
                path.unlink(missing_ok=True)
                yield name, error
            else:
                copies.append(NamedFile(path, name, file.depth + 1))
        self._waiting.extendleft(reversed(copies))

    def _check(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise DocumentError(
                ErrorCode.TOO_MANY_BYTES,
                f"The attached files have more than {self._limits.max_bytes:,} bytes together. Extract them.",
            )


def _names(
    file: NamedFile, found: Sequence[tuple[int | None, AttachedFile]]
) -> Iterator[tuple[Path, int]]:
    """Yield the name and the number of each attached file."""
    by_page: dict[int | None, list[AttachedFile]] = {}
    for page, attached in found:
        by_page.setdefault(page, []).append(attached)
    for page, files in by_page.items():
        refs = DocumentRef("").attachments(files, page)
        for ref in refs:
            yield Path(f"{file.name}{ref.uri}"), ref.attachment_number
