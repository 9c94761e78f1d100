"""Page files, written into the directory of a server on the same host."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.concurrency.event_loop_thread import run_in_daemon_thread
from airflow_deepseek_ocr.engines.http.image_encoding import image_bytes
from airflow_deepseek_ocr.engines.protocol.page_files import (
    PageFileTooLargeError,
    new_page_file_name,
)
from airflow_deepseek_ocr.ocr.channels import drop_color
from airflow_deepseek_ocr.ocr.page_pixels import PagePixels, decoded

if TYPE_CHECKING:
    from airflow_deepseek_ocr.ocr.page_pixels import PageImage

#: Seconds between two checks whether the server has taken a file.
_POLL_S = 0.02

#: Writes an image to a new file. With a limit in bytes it raises :class:`PageFileTooLargeError` beyond it.
WriteImage = Callable[["PageImage", Path, "int | None"], None]


def write_image(image: PageImage, path: Path, limit: int | None) -> None:
    """Write the image to a new file: as BMP, or as PNG if the BMP exceeds the limit.

    :param image: RGB, or one channel.
    :param path: must not exist.
    :param limit: largest file in bytes; None for any size.
    :raises PageFileTooLargeError: the PNG exceeds the limit as well.
    :raises OSError: the directory is missing, or the disk is full.
    """
    parts = _bmp(image)
    if limit is not None and sum(map(len, parts)) > limit:
        parts = (image_bytes(drop_color(decoded(image)), raw=False),)
        if len(parts[0]) > limit:
            raise PageFileTooLargeError
    with path.open("xb") as file:
        file.writelines(parts)


def _bmp(image: PageImage) -> tuple[bytes | memoryview, ...]:
    """Return the parts of a BMP file; pixels from a rendering process are not copied."""
    if isinstance(image, PagePixels):
        return image.bmp_header(), image.rows
    return (image_bytes(drop_color(image), raw=True),)


@asynccontextmanager
async def page_file(
    image: PageImage,
    directory: Path,
    *,
    limit: int | None,
    on_taken: Callable[[], None],
    write: WriteImage = write_image,
) -> AsyncIterator[str]:
    """Keep the image in a file while the context is open, or until the server has taken it.

    :param image: RGB, or one channel.
    :param directory: the server's page directory, as this process sees it.
    :param limit: largest file that the server accepts, in bytes; None for any size.
    :param on_taken: called when the server has taken the file while the context is open.
    :param write: writes the file; called in a thread.
    :return: the file's name.
    :raises PageFileTooLargeError: the file would be larger than ``limit``.
    :raises OSError: the directory is missing, or the disk is full.
    """
    path, abandoned = directory / new_page_file_name(), threading.Event()
    watch: asyncio.Task[None] | None = None

    def write_unless_abandoned() -> None:
        try:
            write(image, path, limit)
        finally:
            if abandoned.is_set():
                _remove(path)

    try:
        await run_in_daemon_thread(write_unless_abandoned)
        watch = asyncio.create_task(_call_when_gone(path, on_taken))
        yield path.name
    finally:
        # In this order: a thread that starts or ends late checks the event after it has written.
        abandoned.set()
        _remove(path)
        if watch is not None:
            watch.cancel()


async def _call_when_gone(path: Path, call: Callable[[], None]) -> None:
    while path.exists():
        await asyncio.sleep(_POLL_S)
    call()


def _remove(path: Path) -> None:
    # The server sweeps files that cannot be removed here.
    with suppress(OSError):
        path.unlink(missing_ok=True)
