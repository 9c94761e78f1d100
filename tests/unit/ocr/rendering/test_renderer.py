"""Documents drawn in a process of its own: what it costs at most, and what its death means."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image, ImageChops

from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, UnavailableError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer
from tests.conftest import ROOT
from tests.corpus.documents.all import ANIMALS
from tests.corpus.documents.raw_pdf import assemble, one_page, page

DOCUMENTS = ROOT / "demo" / "documents"


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    with Renderer(Limits(max_page_seconds=1)) as opened:
        yield opened


def write(directory: Path, name: str) -> Path:
    path = directory / name
    path.write_bytes(ANIMALS[name].make())
    return path


def children() -> list[psutil.Process]:
    """The processes that draw; other tests' servers are children as well."""
    module = "airflow_deepseek_ocr.ocr.rendering.worker"
    return [each for each in psutil.Process().children() if module in each.cmdline()]


def test_pages_are_those_of_this_process(renderer: Renderer) -> None:
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


def test_one_process_for_many_documents_and_none_at_the_end() -> None:
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


def test_a_page_that_takes_too_long(renderer: Renderer, tmp_path: Path) -> None:
    started = time.monotonic()
    with renderer.open(write(tmp_path, "glyph_bomb.pdf")) as document:
        with pytest.raises(DocumentError, match="more than 1 seconds") as caught:
            document.page(1)
        assert caught.value.code == "too_slow"
    assert time.monotonic() - started < 8
    with renderer.open(DOCUMENTS / "table.png") as document:
        assert document.page(1).image.size == (640, 640)


def test_pages_after_it_are_drawn_until_it_is_too_much(renderer: Renderer, tmp_path: Path) -> None:
    """Pages that end the process cost a limit of time each; 2,000 of them must not."""
    bomb = ANIMALS["form_bomb.pdf"].make()
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
        with pytest.raises(DocumentError, match="not tried, after 3 pages"):
            document.page(5)
    assert not renderer.child().dead


def test_the_death_of_the_process_is_told_from_the_documents_fault(
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
        with pytest.raises(UnavailableError, match="ended from outside"):
            document.page(1)
        document.page(1)
        (child,) = children()
        child.kill()
        child.wait(10)
    # Closing it was no fault either.


def test_what_is_meant_for_the_task_does_not_end_the_drawing(renderer: Renderer) -> None:
    """A service manager sends its signals to all processes of a group."""
    with renderer.open(DOCUMENTS / "table.png") as document:
        (child,) = children()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            child.send_signal(number)
        assert document.page(1).number == 1
        assert children() == [child]


def test_a_large_page_is_no_reason_for_the_death_over_a_small_one(tmp_path: Path) -> None:
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


def test_nothing_is_imported_from_the_directory_one_is_in(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('run by accident')")
    monkeypatch.chdir(tmp_path)
    with renderer.open(DOCUMENTS / "table.png") as document:
        assert document.page(1).number == 1


def test_an_error_of_the_document_is_its_own(renderer: Renderer, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="empty"):
        renderer.open(write(tmp_path, "empty.pdf"))
    with renderer.open(write(tmp_path, "second_page_missing.pdf")) as document:
        assert document.page(1).image.size == (400, 400)
        with pytest.raises(DocumentError, match="Page 2"):
            document.page(2)
        assert document.page(3).number == 3


def test_a_file_that_a_library_fails_over_in_a_new_way(renderer: Renderer, tmp_path: Path) -> None:
    """Here: one that is gone."""
    with pytest.raises(DocumentError, match="FileNotFoundError") as caught:
        renderer.open(tmp_path / "gone.pdf")
    assert caught.value.code == "unreadable"


def test_a_process_that_does_not_start_is_no_fault_of_the_document(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("/bin/false", "/no/such/python"):
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(UnavailableError, match="does not start") as caught:
            renderer.open(DOCUMENTS / "table.png")
        assert caught.value.code == "renderer_unavailable"


def test_neither_is_a_broken_installation(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pypdfium2.py").write_text("raise ImportError('half installed')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnavailableError, match="does not start"):
        renderer.open(DOCUMENTS / "invoice.pdf")


def test_it_ends_with_the_one_who_asks(tmp_path: Path) -> None:
    """Killed in the middle of a page that never ends."""
    path = write(tmp_path, "glyph_bomb.pdf")
    script = (
        "import sys; from pathlib import Path; from airflow_deepseek_ocr.ocr.documents.open import Limits; "
        "from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer; "
        "document = Renderer(Limits(max_page_seconds=2)).open(Path(sys.argv[1])); "
        "print('open', flush=True); document.page(1)"
    )
    asking = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    )
    with asking:
        assert asking.stdout is not None
        assert asking.stdout.readline() == "open\n"
        (child,) = psutil.Process(asking.pid).children()
        asking.kill()
    gone, _ = psutil.wait_procs([child], timeout=15)
    assert gone


def test_an_error_does_not_stay_for_the_next_document(renderer: Renderer, tmp_path: Path) -> None:
    for name, code in (
        ("encrypted_with_password.pdf", "password_protected"),
        ("javascript_and_no_page.pdf", "damaged"),
        ("encrypted_for_a_certificate.pdf", "unsupported_encryption"),
        ("javascript_and_no_page.pdf", "damaged"),
    ):
        with pytest.raises(DocumentError) as caught:
            renderer.open(write(tmp_path, name))
        assert caught.value.code == code


def test_memory_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (8000, 8000)).save(path, compress_level=1)
    with Renderer(Limits()) as renderer:
        with renderer.open(path) as document:
            assert document.page(1).image.size == (4000, 4000)
        with renderer.open(DOCUMENTS / "table.png") as document:
            document.page(1)
        (child,) = children()
        assert child.memory_info().rss < 150 << 20


def test_wrong_limits() -> None:
    for wrong in (
        {"max_page_seconds": 0},
        {"max_page_seconds": float("inf")},
        {"max_page_seconds": float("nan")},
        {"max_page_memory": 1000},
    ):
        with pytest.raises(ConfigurationError):
            Limits(**wrong)  # type: ignore[arg-type]


def test_text_of_a_crowded_page_takes_its_time_only(tmp_path: Path) -> None:
    with Renderer(Limits(max_page_seconds=20)) as renderer, renderer.open(
        write(tmp_path, "text_of_a_million_characters.pdf")
    ) as document:  # fmt: skip
        layer = document.page(1).text_layer
    assert layer is not None
    assert len(layer.text) > 800_000
    assert 0 < len(layer.lines) < 200


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    path = tmp_path / "one.pdf"
    path.write_bytes(assemble(one_page()))

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(3):
        with Renderer(Limits()) as renderer, renderer.open(path) as document:
            document.page(1)
            children()[0].kill()
            with pytest.raises(UnavailableError):
                document.page(1)
    assert descriptors() == before
