"""Documents are rendered in a child process: the limits of its cost, and the causes of its death."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from PIL import Image, ImageChops

from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, UnavailableError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.rendering.child_process import ChildProcess
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from tests.conftest import ROOT
from tests.corpus.documents.all import CORPUS
from tests.corpus.documents.raw_pdf import assemble, one_page, page
from tests.support.descriptors import no_descriptor_left

DOCUMENTS = ROOT / "demo" / "documents"


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    with Renderer(Limits(max_page_seconds=1)) as opened:
        yield opened


def write(directory: Path, name: str) -> Path:
    path = directory / name
    path.write_bytes(CORPUS[name].make())
    return path


def children() -> list[psutil.Process]:
    """The processes that render; servers of other tests are children as well."""
    module = "airflow_deepseek_ocr.ocr.rendering.worker"
    return [each for each in psutil.Process().children() if module in each.cmdline()]


def test_pages_equal_those_rendered_in_this_process(renderer: Renderer) -> None:
    for name in ("invoice.pdf", "letter.tiff", "table.png"):
        with renderer.open(DOCUMENTS / name, dpi=100) as theirs, open_document(
            DOCUMENTS / name, dpi=100
        ) as ours:  # fmt: skip
            assert theirs.media_type == ours.media_type
            assert (theirs.page_count, theirs.page_numbers) == (ours.page_count, ours.page_numbers)
            for number in ours.page_numbers:
                one, other = theirs.page(number), ours.page(number)
                assert ImageChops.difference(one.image, other.image).getbbox() is None
                assert (one.number, one.text_layer) == (number, other.text_layer)


def test_one_child_renders_all_documents_and_ends_with_the_renderer() -> None:
    before = children()
    with Renderer(Limits()) as renderer:
        assert children() == before, "it starts when there is a document"
        for _ in range(3):
            with renderer.open(
                DOCUMENTS / "letter.tiff", selection=PageSelection.parse("2")
            ) as document:
                assert document.page_numbers == (2,)
                assert document.page(2).number == 2
        assert len(children()) == len(before) + 1
    assert children() == before


def test_a_page_over_the_time_limit_fails_and_the_next_document_is_rendered(
    renderer: Renderer, tmp_path: Path
) -> None:
    with renderer.open(write(tmp_path, "glyph_bomb.pdf")) as document:
        with pytest.raises(DocumentError, match="more than 1 seconds") as caught:
            document.page(1)
        assert caught.value.code == "too_slow"
    with renderer.open(DOCUMENTS / "table.png") as document:
        assert document.page(1).image.size == (640, 640)


def test_pages_are_tried_until_three_have_ended_a_child(renderer: Renderer, tmp_path: Path) -> None:
    """Each page that ends the child may take the whole time limit; 2,000 such pages must not."""
    bomb = CORPUS["form_bomb.pdf"].make()
    kids = b"3 0 R 50 0 R 3 0 R 3 0 R 3 0 R"
    bomb = bomb.replace(b"/Kids [3 0 R] /Count 1", b"/Kids [%s] /Count 5" % kids)
    bomb = bomb[: bomb.index(b"xref")] + b"50 0 obj\n" + page() + b"\nendobj\n"
    path = tmp_path / "five.pdf"
    path.write_bytes(bomb + b"trailer << /Root 1 0 R >>\n%%EOF")
    with Renderer(Limits(max_page_memory=100 << 20)) as lean, lean.open(path) as document:
        codes = []
        for number in document.page_numbers:
            try:
                document.page(number)
                codes.append("read")
            except DocumentError as error:
                codes.append(error.code)
        assert codes == ["too_much_memory", "read", *["too_much_memory"] * 3]
        with pytest.raises(DocumentError, match="not tried, because 3 pages"):
            document.page(5)
    assert not renderer.child().dead


def test_a_crash_is_the_documents_error_and_a_kill_is_not(
    renderer: Renderer, tmp_path: Path
) -> None:
    with renderer.open(DOCUMENTS / "letter.tiff") as document:
        (child,) = children()
        child.send_signal(signal.SIGSEGV)
        with pytest.raises(DocumentError, match="SIGSEGV") as caught:
            document.page(1)
        assert caught.value.code == "crashed"
        assert document.page(2).number == 2, "in a new process"
        (child,) = children()
        child.kill()
        with pytest.raises(UnavailableError, match="ended by another process"):
            document.page(1)
        document.page(1)
        (child,) = children()
        child.kill()
        child.wait(10)
    # Closing a document whose child is dead raises no error.


def test_signals_to_the_process_group_do_not_end_the_child(renderer: Renderer) -> None:
    """Service managers send signals to all processes of a group."""
    with renderer.open(DOCUMENTS / "table.png") as document:
        (child,) = children()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            child.send_signal(number)
        assert document.page(1).number == 1
        assert children() == [child]


def test_the_memory_of_an_earlier_page_does_not_explain_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (8000, 8000)).save(path, compress_level=1)
    with Renderer(Limits(max_page_memory=400 << 20)) as renderer:
        with renderer.open(path) as document:
            document.page(1)
        with renderer.open(DOCUMENTS / "table.png") as document:
            (child,) = children()
            child.send_signal(signal.SIGSEGV)
            with pytest.raises(DocumentError) as caught:
                document.page(1)
    assert caught.value.code == "crashed"


def test_nothing_is_imported_from_the_current_directory(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('run by accident')")
    monkeypatch.chdir(tmp_path)
    with renderer.open(DOCUMENTS / "table.png") as document:
        assert document.page(1).number == 1


def test_errors_of_a_document_and_of_a_page_are_those_of_the_decoder(
    renderer: Renderer, tmp_path: Path
) -> None:
    with pytest.raises(DocumentError, match="empty"):
        renderer.open(write(tmp_path, "empty.pdf"))
    with renderer.open(write(tmp_path, "second_page_missing.pdf")) as document:
        assert document.page(1).image.size == (400, 400)
        with pytest.raises(DocumentError, match="Page 2"):
            document.page(2)
        assert document.page(3).number == 3


def test_an_unexpected_error_of_a_library_is_the_documents_error(
    renderer: Renderer, tmp_path: Path
) -> None:
    """Here: the file is missing."""
    with pytest.raises(DocumentError, match="FileNotFoundError") as caught:
        renderer.open(tmp_path / "gone.pdf")
    assert caught.value.code == "unreadable"


def test_a_child_that_does_not_start_is_not_the_documents_error(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("/bin/false", "/no/such/python"):
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(UnavailableError, match="does not start") as caught:
            renderer.open(DOCUMENTS / "table.png")
        assert caught.value.code == "renderer_unavailable"


def test_a_broken_installation_is_not_the_documents_error(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pypdfium2.py").write_text("raise ImportError('half installed')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnavailableError, match="does not start"):
        renderer.open(DOCUMENTS / "invoice.pdf")


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    """The parent is killed while the child renders a page that never ends."""
    path = write(tmp_path, "glyph_bomb.pdf")
    script = (
        "import sys; from pathlib import Path; from airflow_deepseek_ocr.ocr.documents.limits import Limits; "
        "from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer; "
        "document = Renderer(Limits(max_page_seconds=2)).open(Path(sys.argv[1])); "
        "print('open', flush=True); document.page(1)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "open\n"
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
    gone, _ = psutil.wait_procs([child], timeout=15)
    assert gone


def test_pdfium_does_not_report_the_error_of_the_document_before(
    renderer: Renderer, tmp_path: Path
) -> None:
    for name, code in (
        ("encrypted_with_password.pdf", "password_protected"),
        ("javascript_and_no_page.pdf", "damaged"),
        ("encrypted_for_a_certificate.pdf", "unsupported_encryption"),
        ("javascript_and_no_page.pdf", "damaged"),
    ):
        with pytest.raises(DocumentError) as caught:
            renderer.open(write(tmp_path, name))
        assert caught.value.code == code


def test_the_memory_of_a_large_page_is_released(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (8000, 8000)).save(path, compress_level=1)
    with Renderer(Limits()) as renderer:
        with renderer.open(path) as document:
            assert document.page(1).image.size == (4000, 4000)
        with renderer.open(DOCUMENTS / "table.png") as document:
            document.page(1)
        (child,) = children()
        assert child.memory_info().rss < 150 << 20


@pytest.mark.timeout(200)
def test_a_text_layer_of_a_million_characters_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Renderer(Limits(max_page_seconds=20)) as renderer, renderer.open(
        write(tmp_path, "text_of_a_million_characters.pdf")
    ) as document:  # fmt: skip
        assert document.page(1).text_layer is None
        document.close()
    assert "855358 characters of text, more than 200000" in caplog.text


def test_the_selection_is_that_of_this_process(renderer: Renderer) -> None:
    assert renderer.check_page_count(PageSelection.parse("2-"), 4) == (2, 3, 4)
    with pytest.raises(DocumentError) as caught:
        renderer.check_page_count(PageSelection(), 1_000_000)
    assert caught.value.code == "too_many_pages"
    with pytest.raises(DocumentError) as caught:
        renderer.check_page_count(PageSelection.parse("9"), 4)
    assert caught.value.code == "no_such_page"


def test_a_required_sandbox_is_checked_before_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    with Renderer(Limits(), Sandbox.AUTO) as renderer:
        before = children()
        renderer.require_sandbox()
        assert children() == before
    older = partial(ChildProcess, module="tests.support.fakes.older_kernel_child")
    monkeypatch.setattr("airflow_deepseek_ocr.ocr.rendering.renderer.ChildProcess", older)
    with Renderer(Limits(), Sandbox.REQUIRED) as renderer:
        with pytest.raises(ConfigurationError, match="Landlock") as caught:
            renderer.require_sandbox()
        assert caught.value.code == "sandbox_unavailable"


def test_no_descriptor_leaks(tmp_path: Path) -> None:
    path = tmp_path / "one.pdf"
    path.write_bytes(assemble(one_page()))

    with no_descriptor_left():
        for _ in range(3):
            with Renderer(Limits()) as renderer, renderer.open(path) as document:
                document.page(1)
                children()[0].kill()
                with pytest.raises(UnavailableError):
                    document.page(1)
