"""Pages handed over to a server on the same host as files, in a folder beside its Unix socket.

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


def page_folder(socket: Path) -> Path:
    """The folder of a server that listens at that Unix socket."""
    return socket.with_name(f"{socket.name}.pages")


def remove_page_folder(socket: Path) -> None:
    """Remove what a server that has ended left of its folder, whoever still writes to it."""
    folder = page_folder(socket)
    gone = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    with suppress(OSError):
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
