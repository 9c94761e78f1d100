"""The child process that opens and renders documents."""

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
from typing import Any

from PIL import Image

from airflow_deepseek_ocr.exceptions import (
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest, RenderedPage

#: Seconds until a child answers for the first time, at most: Python with NumPy, on a busy host.
_START_S = 60.0


#: Seconds after which a child is ended whose own alarm should have done so.
_GRACE_S = 10.0


#: Exit status of a child whose allocation failed where Python noticed.
OUT_OF_MEMORY = 3


#: Seconds between two looks at a child's memory while it works.
_LOOK_S = 0.05


#: How a child ends that somebody else ends.
_ENDED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP)


#: Share of the allowed memory that a child was seen using, from which on memory is what it died of.
_NEARLY_ALL = 0.6


class DiedError(DocumentError):
    """The child died over this request."""


class Child:
    """A process that draws.

    :param limits: how long each request may take, and how much memory the process.
    :raises UnavailableError: ``drawing_process`` if it does not start.
    """

    def __init__(self, limits: Limits) -> None:
        self.dead = False
        self._limits = limits
        self._peak_bytes = 0
        with ExitStack() as made:
            try:
                self._connection, theirs = Pipe()
                made.callback(self._connection.close)
                with theirs:
                    # Through a pipe a page takes longer than its drawing.
                    self._pixels = os.memfd_create("page")
                    made.callback(os.close, self._pixels)
                    self._process = _start((theirs.fileno(), self._pixels), limits)
            except OSError as error:
                raise _does_not_start(str(error)) from error
            made.pop_all()
        try:
            ready = self._connection.poll(_START_S) and self._connection.recv()
        except (EOFError, OSError):
            ready = False
        if not ready:
            self.end()
            raise _does_not_start(f"exit status {self._process.returncode}")

    def ask(self, request: OpenRequest | int | None, what: str) -> Any:
        """The answer to a request.

        :param request: a document to open, the number of a page to draw, or None to close.
        :param what: the request in words.
        :raises DocumentError: the document's fault, or that the child died over it.
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
        return answer

    def draw(self, number: int) -> Page:
        """A page of the open document.

        :raises DocumentError: see :meth:`ask`.
        """
        what = f"Drawing page {number}"
        drawn = self.ask(number, what)
        assert isinstance(drawn, RenderedPage)  # noqa: S101 - the answer to a number
        width, height = drawn.size
        with (
            mmap(self._pixels, 3 * width * height, access=ACCESS_READ) as pixels,
            memoryview(pixels) as view,
        ):
            image = Image.frombytes("RGB", drawn.size, view)
        os.ftruncate(self._pixels, 0)
        return Page(number, image, drawn.text_layer)

    def end(self) -> None:
        """End it, whatever it does."""
        if not self.dead:
            self.dead = True
            self._close()
            self._process.kill()
            # A process that waits for a file system which is gone does not even die.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)

    def _close(self) -> None:
        self._connection.close()
        os.close(self._pixels)

    def _receive(self, receive: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + self._limits.max_page_seconds + _GRACE_S
        try:
            while not self._connection.poll(_LOOK_S):
                self._peak_bytes = _peak_bytes(self._process.pid) or self._peak_bytes
                if time.monotonic() > deadline:
                    raise self._died(what, too_slow=True)
            return receive()
        except (EOFError, OSError):
            raise self._died(what) from None

    def _died(self, what: str, *, too_slow: bool = False) -> DeepSeekOCRError:
        """What it died of; it is ended where it lives."""
        if not too_slow:
            # It closed its end of the connection, so it is about to be gone.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
        self.end()
        code, limits = self._process.returncode, self._limits
        if too_slow or code == -signal.SIGALRM:
            return DiedError(
                ErrorCode.TOO_SLOW,
                f"{what} took more than {limits.max_page_seconds:g} seconds; simplify the document (print "
                "it to a new PDF, or scan it), or raise max_page_seconds.",
            )
        if code is None or code in _ENDED_FROM_OUTSIDE:
            return UnavailableError(
                ErrorCode.RENDERER_KILLED,
                f"{what} was ended from outside, as hosts do that run out of memory; nothing is wrong "
                "with the document as far as that is known. Try again.",
            )
        if code == OUT_OF_MEMORY or self._peak_bytes > _NEARLY_ALL * limits.max_page_memory:
            return DiedError(
                ErrorCode.TOO_MUCH_MEMORY,
                f"{what} needs more than {limits.max_page_memory >> 20:,} MiB of memory; simplify the "
                "document (print it to a new PDF, or scale its images down), or raise max_page_memory.",
            )
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return DiedError(
            ErrorCode.CRASHED,
            f"{what} ended the process that did it ({how}): the file is damaged in a way that the decoder "
            "does not bear. Repair or convert it.",
        )


def _start(descriptors: tuple[int, int], limits: Limits) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own module
        [
            sys.executable,
            "-P",  # nothing is imported from the directory that somebody happens to be in
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


def _does_not_start(why: str) -> UnavailableError:
    return UnavailableError(
        ErrorCode.RENDERER_UNAVAILABLE,
        f"The process that draws pages does not start ({why}); what it wrote stands in this task's log. "
        "Is there memory left on this host?",
    )


def _environment() -> dict[str, str]:
    """Ours, with the directories that modules were imported from."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(directory or str(Path.cwd()) for directory in sys.path),
        # No threads, and no memory for them, for the little that NumPy does.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _forget_peak(process: int) -> None:
    """Have the kernel count a process's peak of memory from now on (proc(5), clear_refs)."""
    with suppress(OSError):
        Path(f"/proc/{process}/clear_refs").write_text("5")


def _peak_bytes(process: int) -> int:
    """The most memory a process has had in use; 0 if it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    _, _, rest = status.partition("VmHWM:")
    return int(rest.split()[0]) << 10 if rest else 0
