"""The parent's side of the child process: requests, answers, and the causes of its death."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.page_pixels import GREY, header_bytes
from airflow_deepseek_ocr.ocr.rendering.child_process import ChildDiedError, ChildProcess
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox, SandboxReport
from tests.conftest import ROOT
from tests.corpus.documents.all import CORPUS
from tests.support.fixtures.made_documents import write

DOCUMENTS = ROOT / "demo" / "documents"
LIMITS = Limits(max_page_seconds=1, max_page_memory=100 << 20)


@pytest.fixture
def child() -> Iterator[ChildProcess]:
    running = ChildProcess(LIMITS)
    yield running
    running.end()


def request(selection: str = "") -> OpenRequest:
    return OpenRequest(PageSelection.parse(selection), 72)


def process() -> psutil.Process:
    module = "airflow_deepseek_ocr.ocr.rendering.worker"
    (found,) = (each for each in psutil.Process().children() if module in each.cmdline())
    return found


def test_it_opens_renders_and_closes(child: ChildProcess) -> None:
    opened = child.open_document(DOCUMENTS / "letter.tiff", request("2"))
    assert (opened.media_type, opened.page_count) == ("image/tiff", 2)
    page = child.page(2)
    assert (page.number, page.image.mode, page.image.size) == (2, "RGB", (640, 640))
    child.close_document()
    child.close_document()
    assert not child.dead


def test_opening_a_document_closes_the_one_before(child: ChildProcess) -> None:
    child.open_document(DOCUMENTS / "letter.tiff", request())
    child.open_document(DOCUMENTS / "invoice.pdf", request())
    page = child.page(1)
    assert page.image.size == (640, 640)
    assert page.text_layer is not None
    assert page.text_layer.text.startswith("Invoice")
    files = {Path(each.path).name for each in process().open_files()}
    assert "invoice.pdf" in files
    assert "letter.tiff" not in files


def test_errors_of_the_document_leave_the_child_alive(child: ChildProcess, tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        child.open_document(write(tmp_path, "empty.pdf", b""), request())
    assert caught.value.code is ErrorCode.EMPTY_FILE
    with pytest.raises(DocumentError) as caught:
        child.page(1)
    assert caught.value.code is ErrorCode.UNREADABLE
    assert not child.dead


@pytest.mark.parametrize(
    ("name", "limits", "code"),
    [
        ("glyph_bomb.pdf", Limits(max_page_seconds=1), ErrorCode.TOO_SLOW),
        ("form_bomb.pdf", Limits(max_page_memory=100 << 20), ErrorCode.TOO_MUCH_MEMORY),
    ],
)
def test_a_page_over_a_limit_ends_the_child(
    tmp_path: Path, name: str, limits: Limits, code: ErrorCode
) -> None:
    child = ChildProcess(limits)
    child.open_document(write(tmp_path, name, CORPUS[name].make()), request())
    with pytest.raises(ChildDiedError, match="Rendering page 1") as caught:
        child.page(1)
    assert caught.value.code is code
    assert child.dead


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (signal.SIGSEGV, DocumentError, ErrorCode.CRASHED),
        (signal.SIGABRT, DocumentError, ErrorCode.CRASHED),
        (signal.SIGALRM, DocumentError, ErrorCode.TOO_SLOW),
        (signal.SIGKILL, UnavailableError, ErrorCode.RENDERER_KILLED),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_signal_tells_the_cause_of_death(
    child: ChildProcess, number: signal.Signals, error: type[Exception], code: ErrorCode
) -> None:
    child.open_document(DOCUMENTS / "letter.tiff", request())
    process().send_signal(number)
    with pytest.raises(error) as caught:
        child.page(1)
    assert caught.value.code is code  # type: ignore[attr-defined]
    assert child.dead


def test_ending_it_twice_does_no_harm() -> None:
    running = ChildProcess(LIMITS)
    watched = process()
    running.end()
    running.end()
    assert running.dead
    assert not watched.is_running()


def test_its_memory_limit_is_beyond_the_memory_of_python(child: ChildProcess) -> None:
    soft, hard = process().rlimit(psutil.RLIMIT_DATA)
    own = soft - LIMITS.max_page_memory
    assert 10 << 20 < own < 1 << 30
    assert hard == psutil.Process().rlimit(psutil.RLIMIT_DATA)[1]
    assert process().rlimit(psutil.RLIMIT_CORE) == (0, 0)


def test_a_named_pipe_is_no_document(child: ChildProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DocumentError, match="no regular file") as caught:
        child.open_document(tmp_path / "pipe", request())
    assert caught.value.code is ErrorCode.UNREADABLE
    assert not child.dead


def test_the_memory_file_for_pixels_has_a_limit(child: ChildProcess) -> None:
    soft, _ = process().rlimit(psutil.RLIMIT_FSIZE)
    assert soft == 4 * LIMITS.max_pixels + header_bytes(GREY)


def test_it_reports_its_sandbox(child: ChildProcess) -> None:
    assert (child.report.landlock >= 1) != bool(child.report.missing)
    off = ChildProcess(LIMITS, Sandbox.OFF)
    assert off.report == SandboxReport(0)
    off.end()


def test_more_pixels_than_allowed_are_refused(tmp_path: Path) -> None:
    """The parent checks the size with its own limit, whatever the child has."""
    running = ChildProcess(Limits(max_pixels=1000))
    running._limits = Limits(max_pixels=100)
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    running.open_document(tmp_path / "small.png", request())
    with pytest.raises(ChildDiedError, match="20 x 20 pixels") as caught:
        running.page(1)
    assert caught.value.code is ErrorCode.CRASHED
    assert running.dead


def test_a_task_without_open_files_left_is_the_hosts_fault(
    child: ChildProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    child.open_document(DOCUMENTS / "table.png", request())

    def refused(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refused)
    with pytest.raises(UnavailableError, match=r"Too many open files.*ulimit") as caught:
        child.page(1)
    assert caught.value.code is ErrorCode.RENDERER_UNAVAILABLE
    monkeypatch.undo()
    assert child.page(1).number == 1, "the process is still usable"


def test_a_host_without_memory_for_pixels_is_not_the_documents_fault(
    child: ChildProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    child.open_document(DOCUMENTS / "table.png", request())
    monkeypatch.setattr(os, "memfd_create", lambda *_: os.open("/dev/full", os.O_RDWR))
    with pytest.raises(UnavailableError, match="has free memory") as caught:
        child.page(1)
    assert caught.value.code is ErrorCode.RENDERER_UNAVAILABLE
    assert child.dead
