"""Searchable PDFs of documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pypdfium2
import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import DocumentError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.exports.exported import ExportedPage
from airflow_deepseek_ocr.ocr.exports.word_places import PlacedLine, PlacedWord
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker
from airflow_deepseek_ocr.pipeline.exports.pdf_export import PdfExport
from tests.support.exported import document, page

LINES = (PlacedLine(1, (PlacedWord("needle", (40, 40, 200, 80)),)),)
IMAGE = Image.new("RGB", (400, 300), "white")


@pytest.fixture(scope="module")
def maker() -> Iterator[PdfMaker]:
    with PdfMaker(Limits()) as made:
        yield made


def text_of(
    maker: PdfMaker,
    original: Path,
    *pages: tuple[ExportedPage, Page | None],
    media_type: str = "application/pdf",
) -> list[str]:
    shown = document(*(each for each, _ in pages), media_type=media_type)
    with PdfExport(shown, original, original.with_suffix(".out"), maker) as pdf:
        for each, rendered in pages:
            pdf.add_page(each, rendered, LINES)
        path = pdf.finish()
    found = pypdfium2.PdfDocument(path)
    return [each.get_textpage().get_text_range() for each in found]


def test_pages_with_text_of_their_own_get_no_second_one(maker: PdfMaker, tmp_path: Path) -> None:
    original = tmp_path / "a.pdf"
    with pikepdf.new() as pdf:
        for _ in range(4):
            pdf.add_blank_page(page_size=(200, 150))
        pdf.save(original)
    texts = text_of(
        maker,
        original,
        (page(1), Page(1, IMAGE)),
        (page(2, status="text_layer"), Page(2, IMAGE)),
        (page(3), Page(3, IMAGE, TextLayer("needle"))),
        (page(4), Page(4, IMAGE, TextLayer(""))),
    )
    assert texts == ["needle", "", "", "needle"]


def test_an_image_becomes_a_pdf_with_its_own_bytes_and_size(
    maker: PdfMaker, tmp_path: Path
) -> None:
    original = tmp_path / "a.jpg"
    IMAGE.convert("L").save(original, "JPEG")
    shown = (page(1), Page(1, IMAGE, dpi=100))
    assert text_of(maker, original, shown, media_type="image/jpeg") == ["needle"]
    with pikepdf.open(tmp_path / "a.out") as pdf:
        picture = pdf.pages[0].images["/Picture"]
        assert picture.read_raw_bytes() == original.read_bytes()
        assert picture.ColorSpace == "/DeviceGray"
        assert [float(each) for each in pdf.pages[0].mediabox] == [0, 0, 288, 216]
        assert pdf.check_pdf_syntax() == []


def test_an_image_page_without_picture_refuses_the_pdf(maker: PdfMaker, tmp_path: Path) -> None:
    original = tmp_path / "a.tiff"
    original.write_bytes(b"")
    with pytest.raises(DocumentError, match="page 2 cannot be rendered") as refused:
        text_of(
            maker,
            original,
            (page(1), Page(1, IMAGE)),
            (page(2), None),
            media_type="image/tiff",
        )
    assert refused.value.code == "damaged_page"
