"""The child process in which documents are opened and rendered; :mod:`.child_process` starts it."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import sys
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from PIL import Image

# Opening a document imports its decoder. These imports make an incomplete installation an error of the
# start of this process instead of an error of the first document.
import airflow_deepseek_ocr.ocr.documents.images
import airflow_deepseek_ocr.ocr.documents.pdf  # noqa: F401
from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.rendering.child_process import OUT_OF_MEMORY
from airflow_deepseek_ocr.ocr.rendering.messages import Opened, OpenRequest, RenderedPage

log = logging.getLogger(__name__)

#: Bytes of pixels that are copied at once: little memory beside that of a page.
_BAND_BYTES = 4 << 20


class _Requests:
    """Answers requests, one after the other.

    :param connection: the answers are sent here.
    :param pixels: descriptor of the shared memory file that receives the pixels of pages.
    """

    def __init__(self, connection: Connection[Any, Any], pixels: int) -> None:
        self._connection, self._pixels = connection, pixels
        self._document: Document | None = None

    def answer(self, request: OpenRequest | int | None) -> None:
        """Process a request and send its answer or its error."""
        try:
            if isinstance(request, int):
                self._render(request)
                return
            self._close()
            opened = None if request is None else self._open(request)
        except DocumentError as error:
            self._connection.send(error)
        except (MemoryError, BrokenPipeError):
            raise
        except Exception as error:
            log.exception("The document cannot be read.")
            self._connection.send(
                DocumentError(
                    ErrorCode.UNREADABLE,
                    f"The document cannot be read: {type(error).__name__}: {error}. Repair or convert it.",
                )
            )
        else:
            self._connection.send(opened)

    def _open(self, request: OpenRequest) -> Opened:
        self._document = document = open_document(
            request.path, selection=request.selection, dpi=request.dpi, limits=request.limits
        )
        return Opened(document.media_type, document.page_count, document.page_numbers)

    def _close(self) -> None:
        document, self._document = self._document, None
        if document is not None:
            document.close()
            _release_memory()

    def _render(self, number: int) -> None:
        if self._document is None:
            raise RuntimeError("A page was requested while no document was open.")
        page = self._document.page(number)
        width, height = page.image.size
        os.ftruncate(self._pixels, 3 * width * height)
        rows = max(1, _BAND_BYTES // (3 * width))
        for top in range(0, height, rows):
            band = page.image.crop((0, top, width, min(top + rows, height)))
            os.pwrite(self._pixels, band.tobytes(), 3 * width * top)
        self._connection.send(RenderedPage((width, height), page.text_layer))


def _release_memory() -> None:
    """Return the freed memory of large pages to the kernel; glibc's malloc keeps it otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def main(arguments: list[str]) -> int:
    """Answer requests until the parent closes its end of the connection.

    :param arguments: descriptor of the connection, descriptor of the shared memory file, bytes of memory for
        this process, and seconds for each request.
    :return: the exit status.
    """
    descriptor, pixels, memory = map(int, arguments[:3])
    seconds = float(arguments[3])
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # The limits are checked here; Pillow's advice would fill the logs.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    # Service managers send signals to the whole process group. They are meant for the parent; this process
    # ends with it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # The default action of the kernel ends the process even inside a loop of a C library.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    Image.init()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = _own_bytes() + memory
    resource.setrlimit(
        resource.RLIMIT_DATA,
        (allowed if most == resource.RLIM_INFINITY else min(allowed, most), most),
    )
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Connection(descriptor) as connection, suppress(EOFError, BrokenPipeError):
        requests = _Requests(connection, pixels)
        connection.send(True)
        while True:
            request = connection.recv()
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                requests.answer(request)
            except MemoryError:
                # There may be no memory left for an orderly exit.
                os._exit(OUT_OF_MEMORY)
            signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def _own_bytes() -> int:
    """Return the bytes that Python and its modules take, as RLIMIT_DATA counts them."""
    _, _, rest = Path("/proc/self/status").read_text().partition("VmData:")
    return int(rest.split()[0]) << 10


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
