"""Names of page files, which tasks write for a server on the same host, in a directory beside its socket.

``docs/design/page-transfer.md`` explains why pages go as files.
"""

from __future__ import annotations

import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

#: Random bytes of a file's name: enough that no two tasks choose the same one.
_NAME_BYTES = 16
_NAME = re.compile(f"[0-9a-f]{{{2 * _NAME_BYTES}}}")


class PageFileTooLargeError(Exception):
    """A page's file is larger than the server accepts."""


def new_page_file_name() -> str:
    """Return a random name of 32 hexadecimal digits for a page's file."""
    return secrets.token_hex(_NAME_BYTES)


def is_page_file_name(name: str) -> bool:
    """Return whether ``name`` has the form of :func:`new_page_file_name`."""
    return _NAME.fullmatch(name) is not None


def page_directory(socket: Path) -> Path:
    """Return the directory for pages of the server that listens at that Unix socket."""
    return socket.with_name(f"{socket.name}.pages")


def remove_page_directory(socket: Path) -> None:
    """Remove the page directory of a server that has ended, even while tasks still write to it."""
    directory = page_directory(socket)
    renamed = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}")
    with suppress(OSError):
        directory.rename(renamed)
        shutil.rmtree(renamed, ignore_errors=True)
