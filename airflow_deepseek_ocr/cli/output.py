"""Standard output and standard error of a command: texts in any encoding, closed pipes, full disks."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError, is_full

#: Exit status of a command whose reader ended, such as ``head``: that of a process ended by SIGPIPE.
PIPE_CLOSED = 128 + signal.SIGPIPE
#: Exit status of a command that Ctrl-C ended.
INTERRUPTED = 128 + signal.SIGINT
#: Descriptors of standard input, standard output and standard error.
_STANDARD = (0, 1, 2)


class OutputClosedError(UnavailableError):
    """The program that reads standard output has ended, and needs no more output."""


def prepare() -> None:
    """Make the standard streams accept any text, and occupy those that are closed.

    A character that the encoding lacks is escaped: a price with a euro sign must not end a command on a
    Latin-1 terminal.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file that is opened would receive what libraries write to the stream.
            os.open(os.devnull, os.O_RDWR)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stderr is None:
        # ``print`` takes None for standard output.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 -- open until the process ends


def require_output() -> None:
    """Raise if standard output is closed, before the work for it begins.

    :raises UnavailableError: ``standard_output``.
    """
    if sys.stdout is None:
        raise _unwritable("it is closed")


def use_utf8() -> None:
    """Write UTF-8 to standard output whatever the locale, as JSON requires (RFC 8259)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")


def write(text: str, *, end: str = "\n") -> None:
    """Write text to standard output at once.

    :raises OutputClosedError: ``standard_output`` if its reader has ended.
    :raises UnavailableError: ``standard_output`` if it is closed, or its disk is full.
    """
    with _errors():
        sys.stdout.write(text + end)
        sys.stdout.flush()


def write_json(values: Mapping[str, Any]) -> None:
    """Write an object as one line of JSON; the errors are those of :func:`write`."""
    write(json.dumps(values, ensure_ascii=False))


def write_path(path: Path) -> None:
    """Write a path with exactly its bytes, for a shell; the errors are those of :func:`write`."""
    with _errors():
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")
        sys.stdout.buffer.flush()


def report(text: str) -> None:
    """Write a line to standard error; a command does not end because it cannot be written."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


@contextmanager
def _errors() -> Iterator[None]:
    require_output()
    try:
        yield
    except BrokenPipeError:
        _discard()
        raise OutputClosedError(
            ErrorCode.STANDARD_OUTPUT, "The program that reads standard output has ended."
        ) from None
    except OSError as error:
        _discard()
        raise _unwritable(error.strerror or str(error), full=is_full(error)) from None


def _discard() -> None:
    """Let the buffer go nowhere: Python would try to write it again at the end."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _unwritable(why: str, *, full: bool = False) -> UnavailableError:
    remedy = "Free disk space" if full else "Redirect it to a file or program"
    return UnavailableError(
        ErrorCode.STANDARD_OUTPUT,
        f"Standard output cannot be written: {why}. {remedy}, and try again.",
    )
