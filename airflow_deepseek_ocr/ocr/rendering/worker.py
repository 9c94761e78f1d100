"""The child process in which documents are opened and rendered; :mod:`.child_process` starts it."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import numpy
import PIL
import pypdfium2
import pypdfium2_raw
from PIL import Image

# The sandbox refuses new machine code: all decoders are imported before it. An incomplete installation is
# then an error of the start of this process, not of the first document.
from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.channels import drop_color
from airflow_deepseek_ocr.ocr.documents.base import Document
from airflow_deepseek_ocr.ocr.documents.images import register_heif
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.pdf import PdfDocument  # noqa: F401 -- see above
from airflow_deepseek_ocr.ocr.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.line_direction import find_line_direction
from airflow_deepseek_ocr.ocr.page_pixels import file_bytes, write_pixels
from airflow_deepseek_ocr.ocr.rendering.channel import ChildEnd
from airflow_deepseek_ocr.ocr.rendering.child_process import NO_HOST_MEMORY, OUT_OF_MEMORY
from airflow_deepseek_ocr.ocr.rendering.conversions.requests import AddTextRequest, PictureRequest
from airflow_deepseek_ocr.ocr.rendering.kept_memory import KeptMemory, keep_memory
from airflow_deepseek_ocr.ocr.rendering.message_values import MessageError
from airflow_deepseek_ocr.ocr.rendering.messages import (
    Answer,
    Closed,
    CloseRequest,
    Extracted,
    ExtractRequest,
    Failed,
    Opened,
    Probed,
    ProbeRequest,
    Ready,
    RenderedPage,
    RenderRequest,
    Request,
)
from airflow_deepseek_ocr.ocr.rendering.pixel_file import (
    MOST_OTHER_BYTES,
    MOST_PIXEL_BYTES,
    write_at,
)
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox, SandboxReport
from airflow_deepseek_ocr.ocr.rendering.sandbox.probes import run_probes
from airflow_deepseek_ocr.ocr.rendering.sandbox.restrict import Host, restrict

log = logging.getLogger(__name__)

#: Packages that decoders import in part while they work.
_PACKAGES: list[ModuleType] = [numpy, PIL, pypdfium2, pypdfium2_raw]


class Requests:
    """Answers requests, one after the other.

    :param limits: limits of each document.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits, self._memory = limits, KeptMemory()
        self._document: Document | None = None
        self._with_edge_density = self._with_line_direction = False

    def answer(self, request: Request, files: Sequence[BinaryIO]) -> Answer:
        """Process a request and return its answer or its error.

        :param files: the document, with an :class:`OpenRequest`; the memory file for a page or an attached
            file, with the requests for them.
        """
        try:
            return self._answer(request, files)
        except DocumentError as error:
            return Failed(error.code, str(error))
        except MemoryError:
            raise
        except Exception as error:
            log.exception("The document cannot be read.")
            return Failed(
                ErrorCode.UNREADABLE,
                f"The document cannot be read: {type(error).__name__}: {error}. Repair or convert it.",
            )

    def _answer(self, request: Request, files: Sequence[BinaryIO]) -> Answer:
        if isinstance(request, RenderRequest | ExtractRequest):
            if not files:
                raise RuntimeError("A page was requested without a file for it.")
            # The task's process has the file; a descriptor here would keep its memory.
            with files[0] as file:
                if isinstance(request, RenderRequest):
                    return self._render(request.number, file.fileno())
                return self._extract(request.number, file.fileno())
        if isinstance(request, ProbeRequest):
            return Probed(*map(tuple, run_probes()))
        if isinstance(request, AddTextRequest | PictureRequest):
            raise RuntimeError("This process makes no exports.")
        self._close()
        if isinstance(request, CloseRequest) or not files:
            return Closed()
        document = open_document(
            files[0],
            selection=request.selection,
            dpi=request.dpi,
            limits=self._limits,
            text_layer=request.text_layer,
            attachments=request.attachments,
        )
        self._document = document
        self._with_edge_density = request.edge_density
        self._with_line_direction = request.line_direction
        return Opened(
            document.media_type,
            document.page_count,
            document.dynamic_form,
            document.attachments,
            document.attached,
        )

    def _close(self) -> None:
        if self._document is not None:
            self._document.close()
            self._document = None
            self._memory.release()

    def _render(self, number: int, pixels: int) -> RenderedPage:
        if self._document is None:
            raise RuntimeError("A page was requested while no document was open.")
        page = self._document.page(number)
        image = drop_color(page.image)
        _write_page(pixels, image)
        measured = self._with_edge_density or self._with_line_direction
        grey = image.convert("L") if measured else image
        return RenderedPage(
            number,
            image.size,
            page.text_layer,
            page.attachments,
            measure_edge_density(grey) if self._with_edge_density else None,
            page.attached,
            page.dpi,
            len(image.getbands()),
            find_line_direction(grey) if self._with_line_direction else None,
        )

    def _extract(self, number: int, content: int) -> Extracted:
        if self._document is None:
            raise RuntimeError("A file was requested while no document was open.")
        size = 0
        for chunk in self._document.attached_content(number):
            write_result(content, chunk, size)
            size += len(chunk)
        self._memory.release()
        return Extracted(size)


class _NoHostMemoryError(MemoryError):
    """The host has no memory for a memory file; the document is not to blame."""


def write_result(descriptor: int, content: bytes, start: int) -> None:
    """Write to a memory file; the process ends if the host has no memory for it.

    :param descriptor: the memory file.
    :param start: offset of the first byte.
    """
    try:
        write_at(descriptor, content, start)
    except OSError as error:
        raise _NoHostMemoryError from error


def _write_page(descriptor: int, image: Image.Image) -> None:
    expected = file_bytes(image.size, len(image.getbands()))
    try:
        with open(descriptor, "wb", closefd=False) as file:
            write_pixels(image, file)
    except OSError as error:
        raise _NoHostMemoryError from error
    # The kernel writes a part when memory is short, and Pillow does not notice.
    if os.fstat(descriptor).st_size != expected:
        raise _NoHostMemoryError


def main(
    arguments: list[str],
    requests: type[Requests] = Requests,
    host: Host | None = None,
    packages: Iterable[ModuleType] = (),
) -> int:
    """Answer requests until the parent closes its end of the connection.

    :param arguments: descriptor of the connection, setting of the sandbox, and limits of each document as
        JSON.
    :param requests: class that answers.
    :param host: means of the sandbox; None asks the kernel.
    :param packages: further packages of which modules may be imported later.
    :return: the exit status.
    """
    descriptor, sandbox = int(arguments[0]), Sandbox(arguments[1])
    limits = Limits(**json.loads(arguments[2]))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # The limits are checked here; Pillow's advice would fill the logs.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    # Service managers send signals to the whole process group. They are meant for the parent; this process
    # ends with it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # The default action of the kernel ends the process even inside a loop of a C library.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _import_decoders()
    keep_memory()
    answers, end = requests(limits), ChildEnd(descriptor)
    _limit_resources(limits)
    report = SandboxReport(0)
    if sandbox is not Sandbox.OFF:
        report = restrict([*_PACKAGES, *packages], host or Host.this())
    with suppress(EOFError, BrokenPipeError, MessageError):
        end.send(Ready(report))
        while True:
            request, descriptors = end.receive()
            signal.setitimer(signal.ITIMER_REAL, limits.max_page_seconds)
            try:
                files = [os.fdopen(each, "rb") for each in descriptors]
                end.send(answers.answer(request, files))
                del files
            except _NoHostMemoryError:
                os._exit(NO_HOST_MEMORY)
            except MemoryError:
                # There may be no memory left for an orderly exit.
                os._exit(OUT_OF_MEMORY)
            signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def _import_decoders() -> None:
    Image.init()
    with suppress(DocumentError):
        _PACKAGES.append(register_heif())


def _limit_resources(limits: Limits) -> None:
    _limit(resource.RLIMIT_DATA, _own_bytes() + limits.max_page_memory)
    # Memory files for pixels do not count for RLIMIT_DATA.
    _limit(resource.RLIMIT_FSIZE, MOST_OTHER_BYTES + MOST_PIXEL_BYTES * limits.max_pixels)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit(kind: int, value: int) -> None:
    _, most = resource.getrlimit(kind)
    allowed = value if most == resource.RLIM_INFINITY else min(value, most)
    # The hard limit stays: it shows the limit of the task.
    resource.setrlimit(kind, (allowed, most))


def _own_bytes() -> int:
    """Return the bytes that Python and its modules take, as RLIMIT_DATA counts them."""
    _, _, rest = Path("/proc/self/status").read_text().partition("VmData:")
    return int(rest.split()[0]) << 10


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
