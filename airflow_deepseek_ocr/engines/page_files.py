"""Pages handed over to a server on the same host as files, in a folder beside its Unix socket.

The bytes of a page in a request are encoded, split, joined and decoded again, most of it in the lock of
the interpreter that keeps the device at work: an H200 read half as many scans so (``benchmarks/``).
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.engines.background import in_thread
from airflow_deepseek_ocr.engines.page_images import saved, without_colour

if TYPE_CHECKING:
    from PIL import Image

#: Bytes of a file's random name, which is twice as many digits.
NAME_BYTES = 16


def page_folder(socket: Path) -> Path:
    """The folder of a server that listens at that Unix socket."""
    return socket.with_suffix(".pages")


@asynccontextmanager
async def page_file(
    image: Image.Image, socket: Path, theirs: str, limit: int | None
) -> AsyncIterator[str]:
    """The image in a file, for as long as the context is open, or until the server has taken it.

    :param image: RGB.
    :param socket: the server's, as this process sees it.
    :param theirs: the folder of the files as the server sees it, which may be in another container.
    :param limit: largest file it takes, in bytes; None for any.
    :return: the file's URL for the server.
    :raises OSError: there is no such folder for this process, or no space in it.
    """
    name = secrets.token_hex(NAME_BYTES)
    path = page_folder(socket) / name
    try:
        await in_thread(lambda: _write(image, path, limit))
        yield (Path(theirs) / name).as_uri()
    finally:
        path.unlink(missing_ok=True)


def _write(image: Image.Image, path: Path, limit: int | None) -> None:
    image = without_colour(image)
    content = saved(image, raw=True)
    if limit is not None and len(content) > limit:
        content = saved(image, raw=False)
    with path.open("xb") as file:
        file.write(content)
