"""Pages handed over to a server on the same host as files, in a folder beside its Unix socket.

The bytes of a page in a request are encoded, split, joined and decoded again, most of it in the lock of
the interpreter that keeps the device at work: an H200 behind a port read half as many scans
(``benchmarks/``).
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.engines.background import in_thread
from airflow_deepseek_ocr.engines.page_images import saved, without_colour

if TYPE_CHECKING:
    from PIL import Image

#: Bytes of a file's random name, which is twice as many digits.
NAME_BYTES = 16
#: Seconds between two looks at whether the server has taken a file.
_LOOK_EVERY_S = 0.02


class PageTooLargeError(Exception):
    """A page's file is larger than the server takes."""


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


@asynccontextmanager
async def page_file(
    image: Image.Image,
    folder: Path,
    *,
    limit: int | None,
    on_taken: Callable[[], None],
) -> AsyncIterator[str]:
    """The image in a file, for as long as the context is open, or until the server has taken it.

    :param image: RGB.
    :param folder: the server's, as this process sees it.
    :param limit: largest file it takes, in bytes; None for any.
    :param on_taken: called when the server has taken it, while the context is open.
    :return: the file's name.
    :raises PageTooLargeError: the file would be larger than ``limit``.
    :raises OSError: there is no such folder for this process, or no space in it.
    """
    path, given_up = folder / secrets.token_hex(NAME_BYTES), threading.Event()
    watch: asyncio.Task[None] | None = None
    try:
        await in_thread(lambda: _write(image, path, limit, given_up))
        watch = asyncio.create_task(_tell_when_gone(path, on_taken))
        yield path.name
    finally:
        # In this order: the thread may not have begun yet, and looks when it has written.
        given_up.set()
        _remove(path)
        if watch is not None:
            watch.cancel()


def _write(image: Image.Image, path: Path, limit: int | None, given_up: threading.Event) -> None:
    image = without_colour(image)
    content = saved(image, raw=True)
    if limit is not None and len(content) > limit:
        content = saved(image, raw=False)
        if len(content) > limit:
            raise PageTooLargeError
    try:
        with path.open("xb") as file:
            file.write(content)
    finally:
        if given_up.is_set():
            _remove(path)


def _remove(path: Path) -> None:
    # The page is read, or is not wanted any more; what stays is swept by the server.
    with suppress(OSError):
        path.unlink(missing_ok=True)


async def _tell_when_gone(path: Path, call: Callable[[], None]) -> None:
    while path.exists():
        await asyncio.sleep(_LOOK_EVERY_S)
    call()
