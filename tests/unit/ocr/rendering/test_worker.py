"""The program of the child process, started as its parent starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.rendering.child_process import OUT_OF_MEMORY
from airflow_deepseek_ocr.ocr.rendering.messages import Opened, OpenRequest, RenderedPage
from tests.conftest import ROOT

DOCUMENTS = ROOT / "demo" / "documents"
MEMORY = 100 << 20


@contextmanager
def worker(
    memory: int = MEMORY,
) -> Iterator[tuple[Connection[Any, Any], int, subprocess.Popen[bytes]]]:
    """Start the program; yield its connection, its memory file, and its process."""
    ours, theirs = Pipe()
    pixels = os.memfd_create("page")
    module = "airflow_deepseek_ocr.ocr.rendering.worker"
    descriptors = (theirs.fileno(), pixels)
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, descriptors), str(memory), "60"],
        pass_fds=descriptors,
    )
    try:
        with ours:
            theirs.close()
            assert ours.poll(60)
            assert ours.recv() is True, "it is ready"
            yield ours, pixels, process
    finally:
        process.wait(60)
        os.close(pixels)


def request(path: Path, dpi: int = 72) -> OpenRequest:
    return OpenRequest(path, PageSelection(), dpi, Limits(max_pixels=170_000_000))


def ask(connection: Connection[Any, Any], message: object) -> Any:
    connection.send(message)
    return connection.recv()


def test_requests_have_answers_and_the_end_of_the_connection_ends_it() -> None:
    with worker() as (connection, pixels, process):
        opened = ask(connection, request(DOCUMENTS / "table.png"))
        assert opened == Opened("image/png", 1, (1,))
        rendered = ask(connection, 1)
        assert rendered == RenderedPage((640, 640), None)
        with Image.open(DOCUMENTS / "table.png") as image:
            expected = image.convert("RGB").tobytes()
        assert os.pread(pixels, len(expected) + 1, 0) == expected
        assert ask(connection, None) is None
    assert process.returncode == 0


def test_pages_larger_than_a_band_are_written_completely(tmp_path: Path) -> None:
    image = Image.effect_noise((1500, 1200), 80).convert("RGB")
    image.save(tmp_path / "noise.png")
    with worker() as (connection, pixels, _):
        ask(connection, request(tmp_path / "noise.png"))
        assert ask(connection, 1).size == (1500, 1200)
        assert os.pread(pixels, 3 * 1500 * 1200, 0) == image.tobytes()


def test_errors_are_answers(tmp_path: Path) -> None:
    with worker() as (connection, _, process):
        for message, code, words in (
            (1, ErrorCode.UNREADABLE, "no document was open"),
            (request(tmp_path / "gone.pdf"), ErrorCode.UNREADABLE, "FileNotFoundError"),
            (request(Path(__file__)), ErrorCode.UNSUPPORTED_TYPE, "Convert"),
        ):
            error = ask(connection, message)
            assert isinstance(error, DocumentError)
            assert error.code is code
            assert words in str(error)
    assert process.returncode == 0


def test_a_failed_request_leaves_no_document_open() -> None:
    with worker() as (connection, _, _process):
        ask(connection, request(DOCUMENTS / "table.png"))
        assert isinstance(ask(connection, request(Path(__file__))), DocumentError)
        assert isinstance(ask(connection, 1), DocumentError)


def test_too_little_memory_ends_it_with_its_status(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (6000, 6000)).save(path, compress_level=1)
    with worker(memory=10 << 20) as (connection, _, process):
        ask(connection, request(path))
        connection.send(1)
        with pytest.raises((EOFError, ConnectionResetError)):
            connection.recv()
    assert process.returncode == OUT_OF_MEMORY
