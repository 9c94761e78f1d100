"""The memory file through which a child passes the pixels of a page.

Sending them through a socket would take longer than rendering the page. The file can grow, but not shrink: a
child that truncated it while this process reads a mapping of it would end this process with ``SIGBUS``.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from mmap import ACCESS_WRITE, MADV_REMOVE, mmap

from PIL import Image

#: Bytes of a pixel (RGB).
PIXEL_BYTES = 3
#: Bytes of attached files that are read at once.
_CHUNK = 1 << 20

#: Bytes of memory that the file keeps for the next page: A4 at 200 dpi takes 12 MB. New memory for each page
#: would take 3 of 50 ms.
_KEPT_BYTES = 16 << 20


class PixelFile:
    """A memory file, sealed against truncation and against other seals.

    :ivar descriptor: for the child, which may write the file.
    :raises OSError: the kernel has no memory files with seals.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        except OSError:
            os.close(self.descriptor)
            raise

    def take(self, size: tuple[int, int]) -> Image.Image | None:
        """Return the page image in the file, and release the file's memory unless it is little.

        :param size: width and height in pixels.
        :return: a copy in RGB; None if the file has fewer pixels.
        """
        count = PIXEL_BYTES * size[0] * size[1]
        if os.fstat(self.descriptor).st_size < count:
            return None
        with mmap(self.descriptor, count, access=ACCESS_WRITE) as pixels:
            with memoryview(pixels) as view:
                image = Image.frombytes("RGB", size, view)
            if count > _KEPT_BYTES:
                pixels.madvise(MADV_REMOVE)
        return image

    def take_bytes(self, count: int) -> Iterator[bytes]:
        """Yield the first bytes of the file in chunks, and release the file's memory at the end.

        :param count: number of bytes; a shorter file ends early.
        """
        for start in range(0, count, _CHUNK):
            yield os.pread(self.descriptor, min(_CHUNK, count - start), start)
        length = min(count, os.fstat(self.descriptor).st_size)
        if length:
            with mmap(self.descriptor, length, access=ACCESS_WRITE) as content:
                content.madvise(MADV_REMOVE)

    def put_bytes(self, content: bytes) -> None:
        """Write bytes for the child to the beginning of the file."""
        view = memoryview(content)
        while view:
            view = view[os.pwrite(self.descriptor, view, len(content) - len(view)) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)
