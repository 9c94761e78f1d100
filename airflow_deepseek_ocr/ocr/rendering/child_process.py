"""The parent's side of the child process that opens and renders documents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from mmap import ACCESS_READ, mmap
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from airflow_deepseek_ocr.exceptions import (
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.rendering.messages import Opened, OpenRequest, RenderedPage

Answer = TypeVar("Answer")

#: Seconds for the start of a child, which imports NumPy and the decoders, on a busy host.
_START_TIMEOUT_S = 60.0

#: Seconds beyond ``max_page_seconds`` after which a child is killed whose own alarm did not end it.
_GRACE_S = 10.0

#: Exit status of a child in which Python raised MemoryError.
OUT_OF_MEMORY = 3

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
    :raises UnavailableError: ``renderer_unavailable`` if it does not start.
    """

    def __init__(self, limits: Limits) -> None:
        self.dead = False
        self._limits = limits
        self._peak_bytes = 0
        with ExitStack() as created:
            try:
                self._connection, theirs = Pipe()
                created.callback(self._connection.close)
                with theirs:
                    # Sending a page through a pipe would take longer than rendering it.
                    self._pixels = os.memfd_create("page")
                    created.callback(os.close, self._pixels)
                    self._process = _start((theirs.fileno(), self._pixels), limits)
            except OSError as error:
                raise _unavailable(str(error)) from error
            created.pop_all()
        try:
            ready = self._connection.poll(_START_TIMEOUT_S) and self._connection.recv()
        except (EOFError, OSError):
            ready = False
        if not ready:
            self.end()
            raise _unavailable(f"exit status {self._process.returncode}")

    def open_document(self, request: OpenRequest) -> Opened:
        """Open a document.

        :raises DocumentError: the document cannot be opened, or the child died.
        :raises UnavailableError: ``renderer_killed`` if another process ended the child.
        """
        return self._ask(request, "Opening the document", Opened)

    def page(self, number: int) -> Page:
        """Render a page of the open document.

        :raises DocumentError: the page cannot be rendered, or the child died.
        :raises UnavailableError: ``renderer_killed`` if another process ended the child.
        """
        rendered = self._ask(number, f"Rendering page {number}", RenderedPage)
        width, height = rendered.size
        with (
            mmap(self._pixels, 3 * width * height, access=ACCESS_READ) as pixels,
            memoryview(pixels) as view,
        ):
            image = Image.frombytes("RGB", rendered.size, view)
        os.ftruncate(self._pixels, 0)
        return Page(number, image, rendered.text_layer)

    def close_document(self) -> None:
        """Close the open document.

        :raises DocumentError: the child died.
        :raises UnavailableError: ``renderer_killed`` if another process ended the child.
        """
        self._ask(None, "Closing the document", type(None))

    def _ask(self, request: OpenRequest | int | None, what: str, kind: type[Answer]) -> Answer:
        """Send a request and return its answer.

        :param what: the request in words, the beginning of error messages.
        :param kind: the class of the answer.
        """
        self._peak_bytes = 0
        _forget_peak(self._process.pid)
        try:
            self._connection.send(request)
        except OSError:
            raise self._died(what) from None
        answer = self._receive(self._connection.recv, what)
        if isinstance(answer, DocumentError):
            raise answer
        if not isinstance(answer, kind):
            raise TypeError(f"{what}: the child answered {answer!r}.")
        return answer

    def end(self) -> None:
        """Kill the process; a process that has ended is not touched."""
        if not self.dead:
            self.dead = True
            self._close()
            self._process.kill()
            # A process that waits for an unreachable file system does not die.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)

    def _close(self) -> None:
        self._connection.close()
        os.close(self._pixels)

    def _receive(self, receive: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + self._limits.max_page_seconds + _GRACE_S
        try:
            while not self._connection.poll(_POLL_S):
                self._peak_bytes = _peak_bytes(self._process.pid) or self._peak_bytes
                if time.monotonic() > deadline:
                    raise self._died(what, too_slow=True)
            return receive()
        except (EOFError, OSError):
            raise self._died(what) from None

    def _died(self, what: str, *, too_slow: bool = False) -> DeepSeekOCRError:
        """End the child and return the error that says why it died."""
        if not too_slow:
            # It closed its end of the connection, so it is about to end.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
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


def _start(descriptors: tuple[int, int], limits: Limits) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - a module of this package
        [
            sys.executable,
            "-P",  # nothing is imported from the current directory
            "-m",
            "airflow_deepseek_ocr.ocr.rendering.worker",
            *map(str, descriptors),
            str(limits.max_page_memory),
            str(limits.max_page_seconds),
        ],
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=_environment(),
    )


def _unavailable(why: str) -> UnavailableError:
    return UnavailableError(
        ErrorCode.RENDERER_UNAVAILABLE,
        f"The process that renders pages does not start ({why}). This task's log contains its output. "
        "Check that this host has free memory and that the installation is complete.",
    )


def _environment() -> dict[str, str]:
    """Return the environment of the child: this process's, with its import path."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(directory or str(Path.cwd()) for directory in sys.path),
        # NumPy does little here: threads would only take memory.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _forget_peak(process: int) -> None:
    """Reset the kernel's record of a process's peak memory (proc(5), clear_refs)."""
    with suppress(OSError):
        Path(f"/proc/{process}/clear_refs").write_text("5")


def _peak_bytes(process: int) -> int:
    """Return the peak memory of a process in bytes since the last reset; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    _, _, rest = status.partition("VmHWM:")
    return int(rest.split()[0]) << 10 if rest else 0
