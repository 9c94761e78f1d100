"""Pages handed over to a server on the same host as files, in a directory beside its Unix socket.

The bytes of a page in a request are encoded, split, joined and decoded again, most of it in the lock of
the interpreter that keeps the device at work: an H200 behind a port read half as many scans
(``benchmarks/``).
"""

from __future__ import annotations

import secrets
import shutil
from contextlib import suppress
from pathlib import Path

#: Bytes of a file's random name, which is twice as many digits.
NAME_BYTES = 16


def page_directory(socket: Path) -> Path:
    """The directory of a server that listens at that Unix socket."""
    return socket.with_name(f"{socket.name}.pages")


def remove_page_directory(socket: Path) -> None:
    """Remove what a server that has ended left of its directory, whoever still writes to it."""
    directory = page_directory(socket)
    gone = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}")
    with suppress(OSError):
        directory.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
