"""Logs of servers: their last lines, and new lines repeated in the log of a task that waits."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

#: Bytes of a log that a message quotes: about 20 lines, enough for a traceback's end.
_TAIL_BYTES = 2000


def log_tail(path: Path) -> str:
    """Return the end of a log; empty if it cannot be read.

    :param path: log file of a server.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


class LogFollower:
    """Repeats a server's log in the log of this process, so that a task shows why it waits.

    :param path: log file of the server.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open(errors="replace") if path.exists() else None

    def forward(self) -> None:
        """Log the lines that were written since the last call."""
        if self._file is not None:
            for line in self._file:
                log.info("server: %s", line.rstrip())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
