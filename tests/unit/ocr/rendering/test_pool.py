"""Several rendering processes: the same pages as one, shared work, and their end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image, ImageChops

from airflow_deepseek_ocr.exceptions import DocumentError, UnavailableError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool, SharedDocument
from tests.conftest import ROOT
from tests.corpus.documents.all import CORPUS
from tests.support.fixtures.made_documents import blank_pdf
from tests.support.waiting import eventually

DOCUMENTS = ROOT / "demo" / "documents"


@pytest.fixture
def pool() -> Iterator[RenderPool]:
    made = RenderPool(Limits(), processes=2)
    yield made
    made.close()


def shared(path: Path, **changes: bool) -> SharedDocument:
    return SharedDocument(path, OpenRequest(PageSelection(), 72, **changes))


def page(pool: RenderPool, document: SharedDocument, number: int) -> Page:
    rendered: Page = pool.submit(document, lambda opened: opened.page(number), _ignore).result(60)
    return rendered


def _ignore() -> None: ...


def children() -> list[psutil.Process]:
    module = "airflow_deepseek_ocr.ocr.rendering.worker"
    return [each for each in psutil.Process().children() if module in each.cmdline()]


def test_pages_are_those_of_one_process(pool: RenderPool) -> None:
    for name in ("invoice.pdf", "letter.tiff"):
        document = shared(DOCUMENTS / name)
        with open_document(DOCUMENTS / name, dpi=72) as ours:
            for number in ours.page_numbers:
                one, other = page(pool, document, number), ours.page(number)
                assert ImageChops.difference(one.image, other.image).getbbox() is None
                assert one.text_layer == other.text_layer


def test_a_black_page_is_measured_as_dark(pool: RenderPool, tmp_path: Path) -> None:
    Image.new("L", (640, 640), 0).save(tmp_path / "black.png")
    density = page(pool, shared(tmp_path / "black.png"), 1).edge_density
    assert density is not None
    assert density.is_dark


def test_what_is_not_asked_for_is_not_measured(pool: RenderPool) -> None:
    full = page(pool, shared(DOCUMENTS / "invoice.pdf"), 1)
    assert full.text_layer is not None
    assert full.edge_density is not None
    assert full.edge_density == measure_edge_density(full.image)
    document = shared(DOCUMENTS / "invoice.pdf", text_layer=False, edge_density=False)
    bare = page(pool, document, 1)
    assert (bare.text_layer, bare.edge_density) == (None, None)
    assert bare.image.tobytes() == full.image.tobytes()


def test_one_page_starts_one_process_and_pages_that_wait_start_more(
    pool: RenderPool, tmp_path: Path
) -> None:
    document = shared(blank_pdf(tmp_path / "a.pdf", 9))
    assert children() == []
    page(pool, document, 1)
    page(pool, document, 2)
    assert len(children()) == 1
    both = threading.Barrier(2, timeout=60)

    def meet(opened: Any) -> int:
        both.wait()
        return int(opened.page_count)

    futures = [pool.submit(document, meet, _ignore) for _ in range(2)]
    assert [future.result(60) for future in futures] == [9, 9]
    assert len(children()) == 2


def test_a_process_prefers_the_document_that_it_has_open(tmp_path: Path) -> None:
    pool = RenderPool(Limits(), processes=1)
    one, other = (shared(blank_pdf(tmp_path / name, 3)) for name in ("a.pdf", "b.pdf"))
    go, order = threading.Event(), []

    def note(document: SharedDocument) -> Any:
        return pool.submit(document, lambda _: order.append(document), _ignore)

    try:
        held = pool.submit(one, lambda _: go.wait(60), _ignore)
        later = pool.submit_later(one, lambda _: order.append(None))
        waiting = [note(other), note(one), note(other), later]
        urgent = threading.Thread(target=lambda: order.append(pool.render_again(other, 1).size))
        urgent.start()
        eventually(lambda: len(pool._urgent) == 1)
        go.set()
        for future in (held, *waiting):
            future.result(60)
        urgent.join(60)
    finally:
        pool.close()
    # The document of the page that was rendered again is open then.
    assert [each for each in order if not isinstance(each, tuple)] == [other, other, one, None]


def test_a_page_is_rendered_again_as_before(pool: RenderPool) -> None:
    document = shared(DOCUMENTS / "invoice.pdf")
    first = page(pool, document, 1).image
    assert pool.render_again(document, 1).tobytes() == first.tobytes()
    with pytest.raises(DocumentError) as caught:
        pool.render_again(shared(DOCUMENTS / "missing.pdf"), 1)
    assert caught.value.code == "unreadable"


def test_deaths_in_all_processes_count_together(tmp_path: Path) -> None:
    path = tmp_path / "glyph_bomb.pdf"
    path.write_bytes(CORPUS["glyph_bomb.pdf"].make())
    pool = RenderPool(Limits(max_page_seconds=1), processes=2)
    document = shared(path)
    try:
        codes, tried = [], []
        for _ in range(4):
            future = pool.submit(document, lambda opened: opened.page(1), _ignore)
            error = future.exception(120)
            assert isinstance(error, DocumentError)
            codes.append(error.code.value)
            tried.append("was not tried" not in str(error))
        assert codes == ["too_slow"] * 4
        assert tried == [True, True, True, False]
        # Other documents have a new process.
        assert page(pool, shared(DOCUMENTS / "table.png"), 1).number == 1
    finally:
        pool.close()


def test_a_process_that_is_killed_fails_its_page_only(pool: RenderPool) -> None:
    document = shared(DOCUMENTS / "invoice.pdf")
    page(pool, document, 1)

    def kill(opened: Any) -> Page:
        os.kill(children()[0].pid, signal.SIGKILL)
        rendered: Page = opened.page(1)
        return rendered

    error = pool.submit(document, kill, _ignore).exception(60)
    assert isinstance(error, UnavailableError)
    assert error.code == "renderer_killed"
    assert page(pool, document, 1).number == 1


def test_a_finished_document_is_closed(pool: RenderPool, tmp_path: Path) -> None:
    path = blank_pdf(tmp_path / "a.pdf", 1)
    document = shared(path)
    page(pool, document, 1)
    (child,) = children()

    def maps() -> bool:
        return any(str(path) in each.path for each in child.memory_maps())

    assert maps()
    path.unlink()
    pool.finish(document)
    eventually(lambda: not maps())


def test_closing_cancels_what_waits_and_ends_what_works(tmp_path: Path) -> None:
    path = tmp_path / "glyph_bomb.pdf"
    path.write_bytes(CORPUS["glyph_bomb.pdf"].make())
    pool = RenderPool(Limits(max_page_seconds=600), processes=1)
    working = pool.submit(shared(path), lambda opened: opened.page(1), _ignore)
    waiting = pool.submit(shared(path), lambda opened: opened.page(1), _ignore)
    eventually(lambda: working.running() and children())
    pool.close()
    assert isinstance(working.exception(60), UnavailableError)
    assert waiting.cancelled()
    assert children() == []
    assert pool.submit(shared(path), lambda opened: opened, _ignore).cancelled()
