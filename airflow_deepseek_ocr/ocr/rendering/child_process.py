"""The parent's side of the child process that opens and renders documents.

The child handles hostile files: nothing that it sends is trusted. It can make its page fail, and no more.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

from airflow_deepseek_ocr.exceptions import (
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.page_pixels import PagePixels
from airflow_deepseek_ocr.ocr.rendering.channel import ParentEnd
from airflow_deepseek_ocr.ocr.rendering.child_memory import ChildMemory
from airflow_deepseek_ocr.ocr.rendering.child_output import ChildOutput
from airflow_deepseek_ocr.ocr.rendering.child_start import WORKER, check_sandbox, start_child
from airflow_deepseek_ocr.ocr.rendering.conversions.requests import AddTextRequest, PictureRequest
from airflow_deepseek_ocr.ocr.rendering.message_values import MessageError
from airflow_deepseek_ocr.ocr.rendering.messages import (
    Closed,
    CloseRequest,
    Extracted,
    ExtractRequest,
    Failed,
    Opened,
    OpenRequest,
    Probed,
    ProbeRequest,
    Ready,
    RenderedPage,
    RenderRequest,
    Request,
)
from airflow_deepseek_ocr.ocr.rendering.pixel_file import (
    PixelFile,
    memory_file,
    no_memory_file,
)
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox, SandboxReport

log = logging.getLogger(__name__)

AnswerT = TypeVar("AnswerT")

#: Seconds for the start of a child, which imports NumPy and the decoders, on a busy host.
_START_TIMEOUT_S = 60.0

#: Seconds beyond ``max_page_seconds`` after which a child is killed whose own alarm did not end it.
_GRACE_S = 10.0

#: Exit status of a child in which Python raised MemoryError.
OUT_OF_MEMORY = 3
#: Exit status of a child that could not write a memory file.
NO_HOST_MEMORY = 4

#: Seconds between two measurements of the child's memory.
_POLL_S = 0.05

#: Exit statuses of a child that another process ended.
_ENDED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP)

#: Share of ``max_page_memory`` at the last measurement, above which a death counts as ``too_much_memory``.
_NEARLY_ALL_MEMORY = 0.6


class ChildDiedError(DocumentError):
    """The child died while it processed a request."""


class ChildProcess:
    """A running child process.

    :param limits: ``max_page_seconds`` limits each request, ``max_page_memory`` the process.
    :param sandbox: restrictions of the child.
    :param module: the program; tests pass programs that attack.
    :param grace_s: seconds beyond ``max_page_seconds`` after which a child is killed.
    :ivar report: the restrictions that hold.
    :raises UnavailableError: ``renderer_unavailable`` if it does not start.
    :raises ConfigurationError: ``sandbox_unavailable`` if the required restrictions do not hold.
    """

    def __init__(
        self,
        limits: Limits,
        sandbox: Sandbox = Sandbox.AUTO,
        *,
        module: str = WORKER,
        grace_s: float = _GRACE_S,
    ) -> None:
        self.dead = False
        self._limits, self._grace_s = limits, grace_s
        self._peak_bytes, self._measured = 0, 0.0
        with ExitStack() as created:
            try:
                self._socket, theirs = socket.socketpair()
                created.callback(self._socket.close)
                with theirs:
                    self._process, output = start_child(theirs.fileno(), limits, sandbox, module)
            except OSError as error:
                raise _unavailable(str(error)) from error
            created.pop_all()
        self._end, self._output = ParentEnd(self._socket), ChildOutput(output)
        self._memory = ChildMemory(self._process.pid)
        self._poll = select.poll()
        self._poll.register(output, select.POLLIN)
        self.report = self._ready()
        try:
            check_sandbox(sandbox, self.report)
        except DeepSeekOCRError:
            self.end()
            raise

    def open_document(self, path: Path, request: OpenRequest) -> Opened:
        """Open a document; the child receives it as an open file, and no access to others.

        :param path: a local file.
        :raises DocumentError: the document cannot be opened, or the child died.
        :raises UnavailableError: ``renderer_killed`` if another process ended the child.
        """
        descriptor = _open(path)
        try:
            return self._ask(request, "Opening the document", Opened, descriptor)
        finally:
            os.close(descriptor)

    def page(self, number: int) -> Page:
        """Render a page of the open document.

        :raises DocumentError: the page cannot be rendered, or the child died.
        :raises UnavailableError: ``renderer_killed`` if another process ended the child.
        """
        what = f"Rendering page {number}"
        with memory_file() as file:
            rendered = self._ask(RenderRequest(number), what, RenderedPage, file.descriptor)
            width, height = rendered.size
            if rendered.number != number:
                raise self._broke_rules(what, f"page {rendered.number}")
            if width * height > self._limits.max_pixels:
                raise self._broke_rules(what, f"{width:,} x {height:,} pixels")
            try:
                pixels = file.take(rendered.size, rendered.channels)
            except OSError as error:
                raise no_memory_file(error) from error
        if pixels is None:
            raise self._broke_rules(
                what, "another number of pixels, or a page that it may still change"
            )
        return Page(
            number,
            pixels,
            rendered.text_layer,
            attachments=rendered.attachments,
            attached=rendered.attached,
            edge_density=rendered.edge_density,
            dpi=rendered.dpi,
            line_direction=rendered.line_direction,
        )

    def attached_content(self, number: int) -> Iterator[bytes]:
        """Yield the content of a file that is attached to the open document, in chunks.

        :param number: see :class:`~airflow_deepseek_ocr.ocr.documents.unshown.AttachedFile`.
        :raises DocumentError: the file cannot be decoded or is too large, or the child died.
        :raises UnavailableError: ``renderer_killed`` if another process ended the child.
        """
        with memory_file() as memory:
            what = f"Extracting attached file {number}"
            yield from self._content(ExtractRequest(number), what, memory)

    def searchable_pdf(self, path: Path, pages: bytes, page_count: int) -> Iterator[bytes]:
        """Yield a PDF with invisible text, in chunks; for a child that runs :mod:`.pdf_worker`.

        :param path: the PDF.
        :param pages: the text of its pages, as that module reads it.
        :param page_count: number of its pages.
        :raises DocumentError: no searchable PDF can be made, or the child died.
        :raises UnavailableError: ``renderer_killed`` if another process ended the child.
        """
        descriptor = _open(path)
        try:
            request = AddTextRequest(len(pages), page_count)
            yield from self._converted(request, "Making a searchable PDF", pages, descriptor)
        finally:
            os.close(descriptor)

    def picture(self, pixels: PagePixels, size: tuple[int, int]) -> bytes:
        """Return a page as WebP; for a child that runs :mod:`.conversions.picture_worker`.

        :param pixels: the page.
        :param size: width and height of the picture.
        :raises DocumentError: the child died, or the host has no memory for the pixels.
        :raises UnavailableError: ``renderer_killed`` if another process ended the child,
            ``renderer_unavailable`` without memory for the pixels.
        """
        request = PictureRequest(pixels.size, size, pixels.channels)
        return b"".join(self._converted(request, "Making a page's picture", pixels.rows))

    def _converted(
        self, request: Request, what: str, content: bytes | memoryview, *others: int
    ) -> Iterator[bytes]:
        """Yield what the child makes of content."""
        with memory_file() as memory:
            try:
                memory.put_bytes(content)
            except OSError as error:
                raise no_memory_file(error) from error
            yield from self._content(request, what, memory, *others)

    def _content(
        self, request: Request, what: str, memory: PixelFile, *others: int
    ) -> Iterator[bytes]:
        """Yield what the child wrote to the memory file.

        :param others: further files for the child.
        """
        size = self._ask(request, what, Extracted, memory.descriptor, *others).size
        if size > min(self._limits.max_bytes, self._limits.max_attached_bytes):
            raise self._broke_rules(what, f"{size:,} bytes")
        yield from memory.take_bytes(size)

    def close_document(self) -> None:
        """Close the open document.

        :raises DocumentError: the child died.
        :raises UnavailableError: ``renderer_killed`` if another process ended the child.
        """
        self._ask(CloseRequest(), "Closing the document", Closed)

    def probe(self) -> Probed:
        """Let the child try forbidden actions.

        :raises DocumentError: the child died.
        :raises UnavailableError: ``renderer_killed`` if another process ended the child.
        """
        return self._ask(ProbeRequest(), "Probing the sandbox", Probed)

    def kill(self) -> None:
        """Kill the process from another thread; the request in progress fails."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process; a process that has ended is not touched."""
        if not self.dead:
            self.dead = True
            self._socket.close()
            self._process.kill()
            # A process that waits for an unreachable file system does not die.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace_s)
            self._output.close()
            self._memory.close()

    def _ready(self) -> SandboxReport:
        deadline = time.monotonic() + _START_TIMEOUT_S
        try:
            ready = self._end.receive(lambda: self._wait(select.POLLIN, deadline))
        except (EOFError, OSError, MessageError, TimeoutError):
            ready = None
        if not isinstance(ready, Ready):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace_s if ready is None else 0)
            self.end()
            raise _unavailable(f"exit status {self._process.returncode}")
        return ready.sandbox

    def _ask(self, request: Request, what: str, kind: type[AnswerT], *descriptors: int) -> AnswerT:
        """Send a request and return its answer.

        :param what: the request in words, the beginning of error messages.
        :param kind: the class of the answer.
        :param descriptors: open files for the child.
        """
        self._peak_bytes = 0
        self._memory.forget_peak()
        self._output.begin()
        deadline = time.monotonic() + self._limits.max_page_seconds + self._grace_s
        try:
            self._end.send(request, descriptors, lambda: self._wait(select.POLLOUT, deadline))
            answer = self._end.receive(lambda: self._wait(select.POLLIN, deadline))
        except TimeoutError:
            raise self._died(what, too_slow=True) from None
        except (EOFError, OSError):
            raise self._died(what) from None
        except MessageError as error:
            raise self._broke_rules(what, str(error)) from None
        if isinstance(answer, Failed):
            raise answer.error()
        if not isinstance(answer, kind):
            raise self._broke_rules(what, f"an answer of the kind {type(answer).__name__}")
        return answer

    def _wait(self, event: int, deadline: float) -> None:
        """Wait until the socket is ready; log the child's output and measure its memory meanwhile.

        :raises TimeoutError: the deadline has passed.
        """
        self._poll.register(self._socket, event)
        while True:
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError
            ready = dict(self._poll.poll(_POLL_S * 1000))
            if self._output.descriptor in ready and not self._output.drain():
                self._poll.unregister(self._output.descriptor)
            if self._socket.fileno() in ready:
                return
            if now - self._measured >= _POLL_S:
                self._measured = now
                self._peak_bytes = self._memory.peak_bytes() or self._peak_bytes

    def _broke_rules(self, what: str, how: str) -> ChildDiedError:
        """End a child whose answer breaks the rules, and return the error of its request."""
        self.end()
        return ChildDiedError(
            ErrorCode.CRASHED,
            f"{what} failed: the decoder's process sent a malformed answer ({how}). The file may be "
            "damaged, or made to attack the decoder. Repair or convert it, and find out where it comes from.",
        )

    def _died(self, what: str, *, too_slow: bool = False) -> DeepSeekOCRError:
        """End the child and return the error that says why it died."""
        if not too_slow:
            # It closed its end of the connection, so it is about to end.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace_s)
        self.end()
        code, limits = self._process.returncode, self._limits
        if too_slow or code == -signal.SIGALRM:
            return ChildDiedError(
                ErrorCode.TOO_SLOW,
                f"{what} took more than {limits.max_page_seconds:g} seconds. Simplify the document (print "
                "it to a new PDF, or scan it), or raise max_page_seconds.",
            )
        if code is None or code in _ENDED_FROM_OUTSIDE:
            return UnavailableError(
                ErrorCode.RENDERER_KILLED,
                f"{what} was ended by another process, probably because the host ran out of memory. The "
                "document may be intact. Try again.",
            )
        if code == NO_HOST_MEMORY:
            return no_memory_file("it could not write them")
        if code == OUT_OF_MEMORY or self._peak_bytes > _NEARLY_ALL_MEMORY * limits.max_page_memory:
            return ChildDiedError(
                ErrorCode.TOO_MUCH_MEMORY,
                f"{what} needs more than {limits.max_page_memory >> 20:,} MiB of memory. Simplify the "
                "document (print it to a new PDF, or scale its images down), or raise max_page_memory.",
            )
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return ChildDiedError(
            ErrorCode.CRASHED,
            f"{what} failed: the decoder crashed on this file ({how}), which is probably damaged. Repair or "
            "convert it.",
        )


def _open(path: Path) -> int:
    """Open a document for reading.

    :raises DocumentError: ``unreadable``.
    """
    try:
        # A named pipe without a writer would block.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(f"{type(error).__name__}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _unreadable("it is no regular file")
    return descriptor


def _unreadable(why: str) -> DocumentError:
    return DocumentError(
        ErrorCode.UNREADABLE, f"The document cannot be read: {why}. Repair or convert it."
    )


def _unavailable(why: str) -> UnavailableError:
    return UnavailableError(
        ErrorCode.RENDERER_UNAVAILABLE,
        f"The process that renders pages does not start ({why}). This task's log contains its output. "
        "Check that this host has free memory and that the installation is complete.",
    )
