"""Standard error of the child process, as bounded lines of this process's log."""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)

#: Bytes that are logged for one request, at most; a decoder may write a line for each object of a file.
MAX_LOGGED_BYTES = 8 << 10

#: Characters of a line, at most.
_MAX_LINE = 500

#: Bytes that a pipe holds, by default (pipe(7)).
_CHUNK = 1 << 16


class ChildOutput:
    """Reads a pipe to its end; logs the first lines of each request and drops the others.

    :param descriptor: the pipe's end for reading; it becomes non-blocking, and :meth:`close` closes it.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._left, self._line = MAX_LOGGED_BYTES, b""

    def begin(self) -> None:
        """Allow lines of the next request."""
        self._left = MAX_LOGGED_BYTES

    def drain(self) -> bool:
        """Read bytes that are in the pipe, at most as many as it holds.

        :return: whether more may come.
        """
        try:
            data = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        kept = data[: max(0, self._left)]
        if self._left > 0 and len(data) >= self._left:
            kept += b" (more output of this request was dropped)\n"
        self._left -= len(data)
        *lines, self._line = (self._line + kept).split(b"\n")
        for line in lines:
            _log(line)
        return bool(data)

    def close(self) -> None:
        """Log the last line, and close the pipe."""
        self.drain()
        _log(self._line)
        self._line = b""
        os.close(self.descriptor)


def _log(line: bytes) -> None:
    text = line.decode("utf-8", "replace")[:_MAX_LINE]
    if text.strip():
        # Control characters would let a document write lines of the log.
        printable = "".join(each if each.isprintable() else " " for each in text)
        log.warning("Rendering process: %s", printable)
