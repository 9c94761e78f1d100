"""The program of the child process, started as its parent starts it."""

from __future__ import annotations

import os
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.rendering.channel import ParentEnd
from airflow_deepseek_ocr.ocr.rendering.child_process import NO_HOST_MEMORY, OUT_OF_MEMORY
from airflow_deepseek_ocr.ocr.rendering.child_start import start_child
from airflow_deepseek_ocr.ocr.rendering.messages import (
    Closed,
    CloseRequest,
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
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from tests.conftest import ROOT
from tests.corpus.documents.raw_images import encoded

DOCUMENTS = ROOT / "demo" / "documents"
LIMITS = Limits(max_pixels=170_000_000, max_page_memory=100 << 20)


@dataclass
class Worker:
    """A running program.

    :param connection: the parent's end of its socket.
    :param pixels: the memory file that goes with requests for a page.
    """

    connection: socket.socket
    pixels: int
    process: subprocess.Popen[bytes]
    end: ParentEnd
    ready: Ready

    def ask(self, request: Request, *descriptors: int) -> Any:
        if isinstance(request, RenderRequest):
            descriptors = (self.pixels,)
        self.end.send(request, descriptors, lambda: None)
        return self.end.receive(lambda: wait(self.connection))

    def page_file(self) -> bytes:
        """Return what the program wrote of a page."""
        return os.pread(self.pixels, os.fstat(self.pixels).st_size, 0)

    def open(self, path: Path, dpi: int = 72) -> Any:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            request = OpenRequest(PageSelection(), dpi, edge_density=False, line_direction=False)
            return self.ask(request, descriptor)
        finally:
            os.close(descriptor)


def wait(connection: socket.socket) -> None:
    assert select.select([connection], [], [], 60)[0]


@contextmanager
def worker(sandbox: Sandbox = Sandbox.AUTO) -> Iterator[Worker]:
    """Start the program; its standard error is not read, so it must write little."""
    ours, theirs = socket.socketpair()
    pixels = os.memfd_create("page")
    process, output = start_child(theirs.fileno(), LIMITS, sandbox)
    theirs.close()
    try:
        with ours:
            end = ParentEnd(ours)
            running = Worker(ours, pixels, process, end, end.receive(lambda: wait(ours)))
            yield running
    finally:
        process.wait(60)
        os.close(running.pixels)
        os.close(output)


def test_requests_have_answers_and_the_end_of_the_connection_ends_it() -> None:
    with worker() as running:
        assert running.open(DOCUMENTS / "table.png") == Opened("image/png", 1)
        assert running.ask(RenderRequest(1)) == RenderedPage(1, (640, 640), None, channels=1)
        with Image.open(DOCUMENTS / "table.png") as image:
            assert running.page_file() == encoded(image.convert("L"), "BMP")
        assert running.ask(CloseRequest()) == Closed()
    assert running.process.returncode == 0


def test_large_pages_are_written_completely(tmp_path: Path) -> None:
    image = Image.merge("RGB", [Image.effect_noise((1501, 1200), 80) for _ in range(3)])
    image.save(tmp_path / "noise.png")
    with worker() as running:
        running.open(tmp_path / "noise.png")
        assert running.ask(RenderRequest(1)).size == (1501, 1200)
        assert running.page_file() == encoded(image, "BMP")


def test_a_page_without_color_has_one_channel(tmp_path: Path) -> None:
    image = Image.effect_noise((401, 300), 80)
    image.convert("RGB").save(tmp_path / "grey.png")
    with worker() as running:
        running.open(tmp_path / "grey.png")
        assert running.ask(RenderRequest(1)) == RenderedPage(1, (401, 300), None, channels=1)
        assert running.page_file() == encoded(image, "BMP")


def test_a_page_without_a_file_for_it_is_an_error() -> None:
    with worker() as running:
        running.open(DOCUMENTS / "table.png")
        running.end.send(RenderRequest(1), (), lambda: None)
        answer = running.end.receive(lambda: wait(running.connection))
        assert (answer.code, "without a file" in answer.message) == (ErrorCode.UNREADABLE, True)


def test_errors_are_answers() -> None:
    with worker() as running:
        for error, code, words in (
            (running.ask(RenderRequest(1)), ErrorCode.UNREADABLE, "no document was open"),
            (running.open(Path(__file__)), ErrorCode.UNSUPPORTED_TYPE, "Convert"),
        ):
            assert isinstance(error, Failed)
            assert error.code is code
            assert words in error.message
    assert running.process.returncode == 0


def test_a_failed_request_leaves_no_document_open() -> None:
    with worker() as running:
        running.open(DOCUMENTS / "table.png")
        assert isinstance(running.open(Path(__file__)), Failed)
        assert isinstance(running.ask(RenderRequest(1)), Failed)


def test_too_little_memory_ends_it_with_its_status(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (12000, 12000)).save(path, compress_level=1)
    with worker() as running:
        running.open(path)
        with pytest.raises((EOFError, ConnectionResetError)):
            running.ask(RenderRequest(1))
    assert running.process.returncode == OUT_OF_MEMORY


def test_no_memory_for_the_pixels_is_not_the_documents_fault() -> None:
    with worker() as running:
        running.open(DOCUMENTS / "table.png")
        os.close(running.pixels)
        running.pixels = os.open("/dev/full", os.O_RDWR)
        with pytest.raises((EOFError, ConnectionResetError)):
            running.ask(RenderRequest(1))
    assert running.process.returncode == NO_HOST_MEMORY


def test_a_page_that_the_kernel_writes_in_part_is_not_the_documents_fault(tmp_path: Path) -> None:
    Image.effect_noise((301, 300), 80).save(tmp_path / "noise.png")
    with worker() as running:
        running.open(tmp_path / "noise.png")
        # Ends within a write: pages of 1,078 + 304 * 300 bytes are written 65,536 at a time.
        limit = 70_000
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        with pytest.raises((EOFError, ConnectionResetError)):
            running.ask(RenderRequest(1))
        assert len(running.page_file()) == limit
    assert running.process.returncode == NO_HOST_MEMORY


def test_the_sandbox_is_reported_and_can_be_probed() -> None:
    with worker(Sandbox.OFF) as running:
        assert running.ready.sandbox.landlock == 0
        assert "TCP" in running.ask(ProbeRequest()).allowed
    with worker() as running:
        probed = running.ask(ProbeRequest())
        assert isinstance(probed, Probed)
        assert running.ready.sandbox.missing or probed.allowed == ()


def test_a_request_that_is_no_message_ends_it() -> None:
    with worker() as running:
        running.connection.sendall(b"\xff" * 9)
        with pytest.raises((EOFError, ConnectionResetError)):
            running.ask(CloseRequest())


def test_decoding_imports_nothing_but_encodings_after_the_start() -> None:
    """New machine code is refused then, and few modules are readable."""
    code = (
        "import sys\n"
        "from airflow_deepseek_ocr.ocr.rendering import worker\n"
        "worker._import_decoders()\nbefore = set(sys.modules)\n"
        "from pathlib import Path\n"
        "from airflow_deepseek_ocr.ocr.documents.open import open_document\n"
        "for name in ('invoice.pdf', 'letter.tiff', 'table.png', 'congress.pdf'):\n"
        "    with open_document(Path('demo/documents') / name) as document: document.page(1)\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert [each for each in done.stdout.split() if not each.startswith("encodings.")] == []
