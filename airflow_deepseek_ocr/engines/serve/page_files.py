"""Files in which callers on the same host hand pages over.

See :mod:`airflow_deepseek_ocr.engines.page_files`, the callers' side.
"""

from __future__ import annotations

import math
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path

from airflow_deepseek_ocr.engines.page_files import NAME_BYTES
from airflow_deepseek_ocr.errors import UnavailableError

_NAME = re.compile(f"[0-9a-f]{{{2 * NAME_BYTES}}}")
#: Seconds after which a file is one of a caller that was killed before it could ask for the page.
_LEFT_BEHIND_S = 600.0
_SWEEP_EVERY_S = 60.0


class PageFiles:
    """The folder where this server's user, and nobody else, may put pages.

    :param folder: made by :meth:`open`.
    :param max_bytes: of a file.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self._max_bytes = folder.absolute(), max_bytes
        self._prefix = self.folder.as_uri() + "/"
        self._swept = time.monotonic()

    def open(self) -> None:
        """Make the folder, or empty what a server that crashed left of it.

        :raises UnavailableError: ``server_address`` if it cannot be made, or is not of this user alone.
        """
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            status = self.folder.lstat()
        except OSError as error:
            raise UnavailableError(
                "server_address", f"{self.folder} cannot be made: {error.strerror or error}."
            ) from error
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise UnavailableError(
                "server_address",
                f"{self.folder}, where pages are handed over, may be entered by others; remove it.",
            )
        self._remove(math.inf)

    def take(self, url: str) -> bytes | None:
        """The content of a file, which is removed; None if it is not there, or not to be taken.

        :param url: as a caller named it.
        """
        name = url.removeprefix(self._prefix)
        if not url.startswith(self._prefix) or not _NAME.fullmatch(name):
            return None
        self._sweep()
        path = self.folder / name
        try:
            # Without O_NONBLOCK a pipe would be waited for.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or status.st_size > self._max_bytes:
                    return None
                content = file.read()
            path.unlink(missing_ok=True)
        except OSError:
            return None
        return content

    def close(self) -> None:
        """Remove the folder and the pages in it."""
        self._remove(math.inf)
        with suppress(OSError):
            self.folder.rmdir()

    def _sweep(self) -> None:
        if time.monotonic() - self._swept < _SWEEP_EVERY_S:
            return
        self._swept = time.monotonic()
        self._remove(time.time() - _LEFT_BEHIND_S)

    def _remove(self, before: float) -> None:
        """Remove pages written before that time, in seconds since the epoch."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                # Its caller may be faster.
                with suppress(OSError):
                    if _NAME.fullmatch(path.name) and path.lstat().st_mtime < before:
                        path.unlink()
