"""Page files that clients on the same host hand to the server.

:mod:`airflow_deepseek_ocr.engines.http.page_file_writer` is the clients' side.
"""

from __future__ import annotations

import logging
import math
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from airflow_deepseek_ocr.engines.protocol.page_files import (
    PageFileTooLargeError,
    is_page_file_name,
)
from airflow_deepseek_ocr.engines.protocol.private_directory import make_private_directory
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError

log = logging.getLogger(__name__)

#: Seconds after which a file is an orphan: its client was killed before it could send the request.
_ORPHANED_AFTER_S = 600.0
_SWEEP_INTERVAL_S = 60.0


class ReceivedPageFiles:
    """The directory in which the server's user, and no other user, may put page files.

    :param directory: created by :meth:`open`.
    :param max_bytes: largest file.
    :param sweep_interval_s: seconds between two sweeps.
    """

    def __init__(
        self, directory: Path, max_bytes: int, *, sweep_interval_s: float = _SWEEP_INTERVAL_S
    ) -> None:
        self._directory, self._max_bytes = directory.absolute(), max_bytes
        self._sweep_interval_s = sweep_interval_s
        #: URL of the directory.
        self.url = self._directory.as_uri()
        self._open = False
        self._swept = time.monotonic()

    def open(self) -> None:
        """Create the directory, and remove files that a crashed server left there.

        :raises UnavailableError: ``server_address`` if it cannot be created, or another user may enter it;
            ``local_disk``.
        """
        make_private_directory(
            self._directory,
            lambda reason: UnavailableError(
                ErrorCode.SERVER_ADDRESS,
                f"The directory for pages cannot be used: {reason} Remove it, or choose another --socket.",
            ),
        )
        self._open = True
        self._remove(math.inf)

    def take(self, url: str) -> bytes | None:
        """Return a file's content and remove the file; None if it is missing, or no page file.

        :param url: URL of the file, as a client sent it.
        :raises PageFileTooLargeError: the file is larger than ``max_bytes``.
        """
        directory, _, name = url.rpartition("/")
        if not self._open or directory != self.url or not is_page_file_name(name):
            return None
        path = self._directory / name
        try:
            with open(path, "rb", opener=_open_without_following) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return None
                content = file.read(self._max_bytes + 1)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("The page in %s cannot be read: %s", path, error.strerror or error)
            return None
        with suppress(OSError):
            path.unlink(missing_ok=True)
        if len(content) > self._max_bytes:
            raise PageFileTooLargeError
        return content

    def sweep(self) -> None:
        """Remove orphaned files. Call it often: it does nothing until the interval has passed."""
        if self._open and time.monotonic() - self._swept >= self._sweep_interval_s:
            self._swept = time.monotonic()
            self._remove(time.time() - _ORPHANED_AFTER_S)

    def close(self) -> None:
        """Remove the directory and its page files, if :meth:`open` succeeded."""
        if self._open:
            self._open = False
            self._remove(math.inf)
            with suppress(OSError):
                self._directory.rmdir()

    def _remove(self, before: float) -> None:
        """Remove page files written before that time, in seconds since the epoch."""
        with suppress(OSError):
            for path in self._directory.iterdir():
                # A client may remove its file at the same time.
                with suppress(OSError):
                    if is_page_file_name(path.name) and path.lstat().st_mtime < before:
                        path.unlink()


def _open_without_following(path: str, flags: int) -> int:
    # A symbolic link may lead to another file, and opening a pipe would block.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
