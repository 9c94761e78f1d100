"""Files in which callers on the same host hand pages over.

See :mod:`airflow_deepseek_ocr.engines.protocol.page_files`, the callers' side.
"""

from __future__ import annotations

import logging
import math
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path

from airflow_deepseek_ocr.engines.http.page_file_writer import PageTooLargeError
from airflow_deepseek_ocr.engines.protocol.page_files import NAME_BYTES
from airflow_deepseek_ocr.engines.protocol.private_directory import make_private_directory
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError

log = logging.getLogger(__name__)

_NAME = re.compile(f"[0-9a-f]{{{2 * NAME_BYTES}}}")
#: Seconds after which a file is one of a caller that was killed before it could ask for the page.
_LEFT_BEHIND_S = 600.0
_SWEEP_EVERY_S = 60.0


class PageFiles:
    """The directory where this server's user, and nobody else, may put pages.

    :param directory: made by :meth:`open`.
    :param max_bytes: of a file.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory, self._max_bytes = directory.absolute(), max_bytes
        #: URL of the directory.
        self.url = self._directory.as_uri()
        self._open = False
        self._swept = time.monotonic()

    def open(self) -> None:
        """Make the directory, or empty what a server that crashed left of it.

        :raises UnavailableError: ``server_address`` if it cannot be made, or is not of this user alone;
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
        """The content of a file, which is removed; None if it is not there, or not to be taken.

        :param url: as a caller named it.
        :raises PageTooLargeError: it is larger than it may be.
        """
        directory, _, name = url.rpartition("/")
        if not self._open or directory != self.url or not _NAME.fullmatch(name):
            return None
        path = self._directory / name
        try:
            with open(path, "rb", opener=_as_it_is) as file:
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
            raise PageTooLargeError
        return content

    def sweep(self) -> None:
        """Remove what callers that were killed left behind; to be called often, looks once a minute."""
        if self._open and time.monotonic() - self._swept >= _SWEEP_EVERY_S:
            self._swept = time.monotonic()
            self._remove(time.time() - _LEFT_BEHIND_S)

    def close(self) -> None:
        """Remove the directory and the pages in it, if it is this server's."""
        if self._open:
            self._open = False
            self._remove(math.inf)
            with suppress(OSError):
                self._directory.rmdir()

    def _remove(self, before: float) -> None:
        """Remove pages written before that time, in seconds since the epoch."""
        with suppress(OSError):
            for path in self._directory.iterdir():
                # Its caller may be faster.
                with suppress(OSError):
                    if _NAME.fullmatch(path.name) and path.lstat().st_mtime < before:
                        path.unlink()


def _as_it_is(path: str, flags: int) -> int:
    # A link leads elsewhere, and a pipe would be waited for.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
