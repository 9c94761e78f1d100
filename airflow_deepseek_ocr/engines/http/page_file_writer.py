"""Writes page images as files into the directory of a server on the same host."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.concurrency.event_loop_thread import run_in_daemon_thread
from airflow_deepseek_ocr.engines.http.page_images import saved, without_colour

if TYPE_CHECKING:
    from PIL import Image
from airflow_deepseek_ocr.engines.protocol.page_files import NAME_BYTES

#: Seconds between two looks at whether the server has taken a file.
_POLL_S = 0.02


class PageTooLargeError(Exception):
    """A page's file is larger than the server takes."""


@asynccontextmanager
async def page_file(
    image: Image.Image,
    directory: Path,
    *,
    limit: int | None,
    on_taken: Callable[[], None],
) -> AsyncIterator[str]:
    """The image in a file, for as long as the context is open, or until the server has taken it.

    :param image: RGB.
    :param directory: the server's, as this process sees it.
    :param limit: largest file it takes, in bytes; None for any.
    :param on_taken: called when the server has taken it, while the context is open.
    :return: the file's name.
    :raises PageTooLargeError: the file would be larger than ``limit``.
    :raises OSError: there is no such directory for this process, or no space in it.
    """
    path, given_up = directory / secrets.token_hex(NAME_BYTES), threading.Event()
    watch: asyncio.Task[None] | None = None
    try:
        await run_in_daemon_thread(lambda: _write(image, path, limit, given_up))
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


async def _tell_when_gone(path: Path, call: Callable[[], None]) -> None:
    while path.exists():
        await asyncio.sleep(_POLL_S)
    call()


def _remove(path: Path) -> None:
    # The page is read, or is not wanted any more; what stays is swept by the server.
    with suppress(OSError):
        path.unlink(missing_ok=True)
