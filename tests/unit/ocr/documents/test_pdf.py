"""PDF files: rendering, forms, sizes, encryption, damage."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np
import pikepdf
import pytest

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.pdf import PdfDocument
from tests.corpus.documents.all import CORPUS
from tests.support.fixtures.made_documents import INVOICE, blank_pdf, error_of, write


def test_pages_have_the_requested_resolution() -> None:
    for dpi, side in ((72, 640), (144, 1280)):
        with open_document(INVOICE, dpi=dpi) as document:
            assert document.page(1).image.size == (side, side)


def test_filled_in_form_fields_are_rendered(tmp_path: Path) -> None:
    path = tmp_path / "form.pdf"
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page(page_size=(200, 100))
        stream = pdf.make_stream(b"0 0 0 rg 0 0 100 50 re f")
        stream.update({"/Type": pikepdf.Name.XObject, "/Subtype": pikepdf.Name.Form})
        stream["/BBox"] = pikepdf.Array([0, 0, 100, 50])
        field = pdf.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Annot,
                Subtype=pikepdf.Name.Widget,
                FT=pikepdf.Name.Tx,
                T="name",
                V="x",
                F=4,
                Rect=[50, 25, 150, 75],
                AP=pikepdf.Dictionary(N=stream),
            )
        )
        page.obj["/Annots"] = pikepdf.Array([field])
        pdf.Root.AcroForm = pikepdf.Dictionary(Fields=[field])
        pdf.save(path)
    with open_document(path, dpi=72) as document:
        assert np.asarray(document.page(1).image.convert("L"))[50, 100] < 200


def test_a_password_is_required(tmp_path: Path) -> None:
    with pikepdf.open(INVOICE) as pdf:
        pdf.save(tmp_path / "locked.pdf", encryption=pikepdf.Encryption(user="a", owner="b"))
    assert error_of(tmp_path / "locked.pdf").code is ErrorCode.PASSWORD_PROTECTED


@pytest.mark.parametrize(
    "name", ["truncated.pdf", "no_pages.pdf", "encrypted_for_a_certificate.pdf"]
)
def test_files_that_do_not_open(tmp_path: Path, name: str) -> None:
    error = error_of(write(tmp_path, name, CORPUS[name].make()))
    assert error.code == CORPUS[name].outcome
    assert len(str(error)) > 30


def test_a_damaged_page_leaves_the_others_readable(tmp_path: Path) -> None:
    name = "second_page_missing.pdf"
    path = write(tmp_path, name, CORPUS[name].make())
    with PdfDocument(path.open("rb"), PageSelection(), 72, Limits()) as document:
        assert document.page(1).image.size == (200, 200)
        with pytest.raises(DocumentError, match="Page 2") as caught:
            document.page(2)
        assert document.page(3).number == 3
    assert caught.value.code is ErrorCode.DAMAGED_PAGE


def test_too_many_pages_are_refused_and_can_be_selected(tmp_path: Path) -> None:
    path = blank_pdf(tmp_path / "long.pdf", 10_000)
    error = error_of(path)
    assert error.code is ErrorCode.TOO_MANY_PAGES
    assert "10,000" in str(error)
    with open_document(path, selection=PageSelection.parse("9999-")) as document:
        assert document.page_numbers == (9999, 10_000)


def test_a_page_of_a_poster_stays_within_the_pixels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = blank_pdf(tmp_path / "poster.pdf", 1, (14_400, 7_200))
    with (
        caplog.at_level(logging.WARNING),
        open_document(path, dpi=300, limits=Limits(max_pixels=1_000_000)) as document,
    ):
        width, height = document.page(1).image.size
    assert 900_000 < width * height <= 1_000_000
    assert width / height == pytest.approx(2, rel=0.01)
    assert "instead of 300" in caplog.text


def test_no_page_has_more_than_40_megapixels(tmp_path: Path) -> None:
    path = blank_pdf(tmp_path / "poster.pdf", 1, (14_400, 14_400))
    with open_document(path, dpi=144) as document:
        width, height = document.page(1).image.size
    assert 39_900_000 < width * height <= 40_000_000


def test_threads_may_render_at_the_same_time() -> None:
    sizes: list[tuple[int, int]] = []

    def render() -> None:
        with open_document(INVOICE, dpi=36) as document:
            sizes.extend(document.page(1).image.size for _ in range(10))  # type: ignore[misc]

    threads = [threading.Thread(target=render) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sizes == [(320, 320)] * 40
