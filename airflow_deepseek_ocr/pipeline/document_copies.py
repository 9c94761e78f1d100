"""The local copies of documents: their paths, and the disk space that they take."""

from __future__ import annotations

import shutil
import threading
from itertools import count
from pathlib import Path

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef

#: Bytes of all copies, at most, except that a single document may be larger: 400 scans of 5 MB, as many pages
#: as a large GPU reads at once, while each is a document. And their share of the directory's free space: four
#: tasks of a worker start with room for each.
MOST_BYTES, _MOST_OF_FREE = 2 << 30, 4
#: Bytes that a document of unknown size is taken to have until it is fetched.
_UNKNOWN_BYTES = 64 << 20


class DocumentCopies:
    """The copies in one directory; several threads may use it.

    A copy is kept until the pages of its document are stored, because a page may be rendered again.

    :param directory: an existing directory.
    :param most_bytes: bytes of all copies from which no further document is fetched; None for 2 GiB, or a
        quarter of the free space if that is less.
    """

    def __init__(self, directory: Path, most_bytes: int | None = None) -> None:
        if most_bytes is None:
            most_bytes = min(MOST_BYTES, shutil.disk_usage(directory).free // _MOST_OF_FREE)
        self._directory, self._most_bytes = directory, most_bytes
        self._lock, self._numbers = threading.Lock(), count()
        self._bytes: dict[Path, int] = {}

    def reserve(self, ref: DocumentRef) -> Path | None:
        """Return a path for the copy of a document; None if there is no room yet."""
        size = _UNKNOWN_BYTES if ref.size is None else ref.size
        with self._lock:
            if self._bytes and sum(self._bytes.values()) + size > self._most_bytes:
                return None
            path = self._directory / f"document-{next(self._numbers)}"
            self._bytes[path] = size
            return path

    def measure(self, path: Path) -> None:
        """Count the bytes that a fetched document takes."""
        size = path.stat().st_size
        with self._lock:
            if path in self._bytes:
                self._bytes[path] = size

    def remove(self, path: Path) -> None:
        """Remove a copy, if there is one, and free its room."""
        path.unlink(missing_ok=True)
        with self._lock:
            self._bytes.pop(path, None)
