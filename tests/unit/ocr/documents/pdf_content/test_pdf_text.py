"""Text layers as PDFium reads them: the whole text, positions, and the bounds of both."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pypdfium2
import pytest
from reportlab.pdfgen.canvas import Canvas

from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.pdf_content.pdf_text import _text_in
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from tests.corpus.documents.raw_pdf import assemble, one_page
from tests.support.fixtures.made_documents import blank_pdf, write


def read(path: Path) -> TextLayer:
    with open_document(path, dpi=72) as document:
        layer = document.page(1).text_layer
    assert layer is not None
    return layer


def written(path: Path, *lines: str, x: float = 40, mode: int = 0) -> Path:
    """Write a page of 400 x 300 points with lines of text, the first 50 points below the top."""
    canvas = Canvas(str(path), pagesize=(400, 300))
    text = canvas.beginText(x, 250)
    text.setFont("Helvetica", 12)
    text.setTextRenderMode(mode)
    for line in lines:
        text.textLine(line)
    canvas.drawText(text)
    canvas.save()
    return path


def test_text_and_positions(tmp_path: Path) -> None:
    layer = read(written(tmp_path / "a.pdf", "First line", "Second line"))
    assert layer.text.split("\n") == ["First line", "Second line"]
    assert [line.text for line in layer.lines] == ["First line", "Second line"]
    first, second = (line.box for line in layer.lines)
    x1, y1, x2, y2 = first.pixels
    assert 38 <= x1 < 42 < 80 < x2 < 110
    assert 35 <= y1 < y2 <= 55
    assert second.pixels[1] > y1
    assert first.normalized == tuple(
        round(value * 999 / size)
        for value, size in zip(first.pixels, (400, 300, 400, 300), strict=True)
    )


def test_positions_end_at_the_edge_of_the_page(tmp_path: Path) -> None:
    layer = read(written(tmp_path / "a.pdf", "word " * 40))
    assert layer.lines
    for line in layer.lines:
        assert 0 <= line.box.pixels[0] <= line.box.pixels[2] <= 400


@pytest.mark.parametrize(("mode", "share"), [(0, 0), (3, 1)])
def test_the_share_of_invisible_characters(tmp_path: Path, mode: int, share: float) -> None:
    layer = read(written(tmp_path / "a.pdf", "Some words", mode=mode))
    assert (layer.invisible, layer.unmapped) == (share, 0)


@pytest.mark.parametrize("kind", ["blank", "drawing"])
def test_a_page_without_text_has_an_empty_layer(tmp_path: Path, kind: str) -> None:
    path = (
        blank_pdf(tmp_path / "a.pdf", 1)
        if kind == "blank"
        else write(tmp_path, "a.pdf", assemble(one_page()))
    )
    assert read(path) == TextLayer("")


@pytest.mark.timeout(120)
def test_the_number_of_positions_is_bounded_and_the_text_is_not(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(4000, 4000))
    canvas.setFont("Helvetica", 4)
    for row in range(80):
        for column in range(80):
            canvas.drawString(20 + 50 * column, 20 + 49 * row, "x")
    canvas.save()
    layer = read(tmp_path / "a.pdf")
    assert layer.text.count("x") == 6400
    assert 4900 < len(layer.lines) <= 5000


@pytest.mark.parametrize("lines", [("First line", "Second \U0001f600 line"), ("",)])
def test_text_of_a_rectangle_is_that_of_pypdfium2(tmp_path: Path, lines: tuple[str, ...]) -> None:
    path = written(tmp_path / "a.pdf", *lines)
    with closing(pypdfium2.PdfDocument(path)) as pdf:
        textpage = pdf[0].get_textpage()
        assert _text_in(textpage) == textpage.get_text_bounded()
        for index in range(textpage.count_rects()):
            left, bottom, right, top = textpage.get_rect(index)
            expected = textpage.get_text_bounded(left, bottom, right, top)
            assert _text_in(textpage, (left, top, right, bottom)) == expected
