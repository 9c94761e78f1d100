"""The memory file through which a child passes the pixels of one page, or an attached file.

Sending them through a socket would take longer than rendering the page. Each page has a separate file: the
task's process takes it as it is, without a copy. It is sealed then, so that a child can neither change the
pixels of a page that it has given away, nor truncate them, which would end this process with ``SIGBUS``.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.page_pixels import GREY, PagePixels, file_bytes, header_bytes

#: Bytes of a pixel with its share of a row's padding, at most: rows of one pixel have four.
MOST_PIXEL_BYTES = 4
#: Bytes of the file beside those of its pixels, at most.
MOST_OTHER_BYTES = header_bytes(GREY)
#: Bytes of attached files that are read at once.
_CHUNK = 1 << 20
#: No process can change the file any more, nor its seals.
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
#: The value of ``mmap(2)`` for a failure.
_MAP_FAILED = ctypes.c_void_p(-1).value

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
_LIBC.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class PixelFile:
    """A memory file for one request. Use it as a context manager.

    :ivar descriptor: for the child, which may write the file.
    :raises OSError: the kernel has no memory files with seals, or the process has too many open files.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("page", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)

    def take(self, size: tuple[int, int], channels: int) -> PagePixels | None:
        """Return the pixels in the file, which is sealed; they stay when this object is closed.

        :param size: width and height in pixels.
        :param channels: channels of each pixel.
        :return: None if the file has another number of bytes, or the child keeps it from being sealed.
        :raises OSError: the process has no address space left.
        """
        try:
            # Fails while the child has a writable mapping.
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        except OSError:
            return None
        count = file_bytes(size, channels)
        if os.fstat(self.descriptor).st_size != count:
            return None
        # The child's header is not read: it may say anything.
        rows = _mapped(self.descriptor, count)[header_bytes(channels) :]
        return PagePixels(size, channels, rows)

    def take_bytes(self, count: int) -> Iterator[bytes]:
        """Yield the first bytes of the file in chunks.

        :param count: number of bytes; a shorter file ends early.
        """
        for start in range(0, count, _CHUNK):
            yield os.pread(self.descriptor, min(_CHUNK, count - start), start)

    def put_bytes(self, content: bytes | memoryview) -> None:
        """Write bytes for the child to the beginning of the file."""
        write_at(self.descriptor, content, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.descriptor)


def write_at(descriptor: int, content: bytes | memoryview, start: int) -> None:
    """Write all bytes to a file; the kernel writes a part of them when memory is short.

    :param descriptor: the file.
    :param start: offset of the first byte.
    :raises OSError: no memory is left for the rest.
    """
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, start)
        view, start = view[written:], start + written


def memory_file() -> PixelFile:
    """Return a new memory file.

    :raises UnavailableError: ``renderer_unavailable``.
    """
    try:
        return PixelFile()
    except OSError as error:
        raise no_memory_file(error) from error


def no_memory_file(error: OSError | str) -> UnavailableError:
    """Return the error for a host without memory for the pixels of a page.

    :param error: what failed.
    """
    return UnavailableError(
        ErrorCode.RENDERER_UNAVAILABLE,
        f"The pixels of a page cannot be taken from the process that renders it ({error}). Check that this "
        "host has free memory and sealed memory files (Linux 3.17), and that the task may open more files "
        "(ulimit -n).",
    )


def _mapped(descriptor: int, count: int) -> memoryview:
    """Return the content of a sealed file, which lives as long as the view.

    Python's own mapping would keep a descriptor, and hundreds of pages wait for a server.
    """
    # Private, because kernels before 6.7 refuse shared mappings of a file that is sealed against writing.
    address = _LIBC.mmap(None, count, mmap.PROT_READ, mmap.MAP_PRIVATE, descriptor, 0)
    if address == _MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"The pixels cannot be mapped: {os.strerror(number)}")
    pixels = (ctypes.c_ubyte * count).from_address(address)
    # Not when the interpreter ends: other threads may still read them, and would end it with SIGSEGV.
    weakref.finalize(pixels, _LIBC.munmap, address, count).atexit = False
    return memoryview(pixels).cast("B").toreadonly()
