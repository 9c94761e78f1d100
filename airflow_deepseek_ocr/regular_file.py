"""Small regular files: read without waiting for a pipe, and without filling the memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

#: What a path may name instead of a regular file.
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular_file(path: Path) -> BinaryIO:
    """Return the file, opened for reading without waiting.

    :raises ValueError: it is no regular file; the message says what it is.
    :raises OSError: it is missing or cannot be opened.
    """
    # A pipe without a writer blocks in open(), and opening some devices has effects.
    _require_regular(path.stat().st_mode)
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    try:
        # Another file may have taken its place meanwhile.
        _require_regular(os.fstat(file.fileno()).st_mode)
    except ValueError:
        file.close()
        raise
    return file


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Return the content of a file.

    :param path: the file; symbolic links are followed.
    :param max_bytes: most bytes that are read.
    :raises ValueError: it is no regular file, or larger; the message says what it is.
    :raises OSError: it is missing or cannot be read.
    """
    with open_regular_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise ValueError(f"has {size:,} bytes, more than {max_bytes:,}")
        # A file of /proc has no size.
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"has more than {max_bytes:,} bytes")
    return content


def _require_regular(mode: int) -> None:
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise ValueError(f"is {name}, not a file")
