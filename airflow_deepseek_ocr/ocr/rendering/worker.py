"""The process in which documents are opened and drawn; :mod:`.child_process` starts it."""

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

# Imported at the start, though opening a document imports what it needs: what is missing in an installation
# is then no fault of the first document.
import airflow_deepseek_ocr.ocr.documents.images
import airflow_deepseek_ocr.ocr.documents.pdf  # noqa: F401
from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.rendering.child_process import OUT_OF_MEMORY
from airflow_deepseek_ocr.ocr.rendering.messages import Opened, OpenRequest, RenderedPage

log = logging.getLogger(__name__)

#: Bytes of pixels copied at once: few enough to be no matter beside the page.
_STRIP_BYTES = 4 << 20


class _Requests:
    """Answers requests, one after the other.

    :param connection: they come and are answered there.
    :param pixels: descriptor of the file in memory that pages are written to.
    """

    def __init__(self, connection: Connection[Any, Any], pixels: int) -> None:
        self._connection, self._pixels = connection, pixels
        self._document: Document | None = None

    def answer(self, request: OpenRequest | int | None) -> None:
        """Do what is asked, and say how it went."""
        try:
            if isinstance(request, int):
                self._draw(request)
                return
            self._close()
            opened = None if request is None else self._open(request)
        except DocumentError as error:
            self._connection.send(error)
        except (MemoryError, BrokenPipeError):
            raise
        except Exception as error:
            log.exception("A document could not be read.")
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
            _give_back_memory()

    def _draw(self, number: int) -> None:
        assert self._document is not None  # noqa: S101 - pages are asked for of open documents
        page = self._document.page(number)
        width, height = page.image.size
        os.ftruncate(self._pixels, 3 * width * height)
        rows = max(1, _STRIP_BYTES // (3 * width))
        for top in range(0, height, rows):
            strip = page.image.crop((0, top, width, min(top + rows, height)))
            os.pwrite(self._pixels, strip.tobytes(), 3 * width * top)
        self._connection.send(RenderedPage((width, height), page.text_layer))


def _give_back_memory() -> None:
    """Have malloc return what it keeps of large pages; only glibc keeps it, and can be asked."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def main(arguments: list[str]) -> int:
    """Answer until the other end is closed.

    :param arguments: descriptors of a connection and of a file in memory for pages; bytes of memory and
        seconds that a request may take.
    """
    descriptor, pixels, memory = map(int, arguments[:3])
    seconds = float(arguments[3])
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # The limits are checked; Pillow's advice would stand in every log.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    # Meant for the one who asks, even if the whole group gets them; this process ends with it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Left to the kernel, which ends a process in the middle of a library's loop too.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    Image.init()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    own = _own_bytes() + memory
    resource.setrlimit(
        resource.RLIMIT_DATA, (own if most == resource.RLIM_INFINITY else min(own, most), most)
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
                # At once: there may be no memory left for an orderly end.
                os._exit(OUT_OF_MEMORY)
            signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def _own_bytes() -> int:
    """Memory that Python and its modules take up, as RLIMIT_DATA counts it."""
    _, _, rest = Path("/proc/self/status").read_text().partition("VmData:")
    return int(rest.split()[0]) << 10


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
