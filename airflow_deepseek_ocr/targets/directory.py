"""Exports in a directory of a file system that the workers share, or of this host."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from airflow_deepseek_ocr.exceptions import local_disk

#: Ending of files that are being written. Their names begin with a dot, which most listings leave out.
_PART = ".part"
#: Seconds after which such a file belongs to a task that died.
_OLD_S = 3600.0
#: Directories of which is remembered that they have no such files. A few documents are exported at a time.
_MOST_TIDIED = 100


class DirectoryTarget:
    """Writes exports to a directory: a temporary name first, then the final one.

    :param directory: created with the first file.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._tidied: set[Path] = set()

    def uri(self, name: str) -> str:
        """See :meth:`ExportTarget.uri`."""
        return self._path(name).as_uri()

    def put(self, name: str, content: bytes | Path, media_type: str) -> None:
        """See :meth:`ExportTarget.put`.

        :raises UnavailableError: ``local_disk``.
        """
        path = self._path(name)
        part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}{_PART}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._tidy(path.parent)
            try:
                with part.open("wb") as file:
                    if isinstance(content, bytes):
                        file.write(content)
                    else:
                        with content.open("rb") as source:
                            shutil.copyfileobj(source, file)
                    file.flush()
                    # A host that loses power has the whole file, or none of this name.
                    os.fsync(file.fileno())
                part.replace(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise local_disk(f"The export {path} cannot be written", error) from error

    def read(self, name: str) -> bytes | None:
        """See :meth:`ExportTarget.read`.

        :raises UnavailableError: ``local_disk``.
        """
        path = self._path(name)
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise local_disk(f"The export {path} cannot be read", error) from error

    def remove(self, name: str) -> None:
        """See :meth:`ExportTarget.remove`.

        :raises UnavailableError: ``local_disk``.
        """
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise local_disk(f"The export {path} cannot be removed", error) from error

    def _tidy(self, directory: Path) -> None:
        # Not with each file: a document of 2,000 pages has thousands in its directory.
        if directory in self._tidied:
            return
        if len(self._tidied) >= _MOST_TIDIED:
            self._tidied.clear()
        self._tidied.add(directory)
        _remove_old_parts(directory)

    def _path(self, name: str) -> Path:
        return self._directory.joinpath(*name.split("/"))


def _remove_old_parts(directory: Path) -> None:
    """Remove what tasks that died left half written."""
    with suppress(OSError):
        for part in directory.glob(f".*{_PART}"):
            if time.time() - part.stat().st_mtime > _OLD_S:
                part.unlink(missing_ok=True)
