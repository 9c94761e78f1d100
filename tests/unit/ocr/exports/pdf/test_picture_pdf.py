"""Searchable PDFs of images."""

from __future__ import annotations

import io

import pikepdf
import pypdfium2
import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import PageText
from airflow_deepseek_ocr.ocr.exports.pdf.picture_pdf import PicturePdf, fewest_colours, page_size

TEXT = PageText(400, 200, 0, ((("Grüße", (40, 20, 140, 60)), ("价格", (160, 20, 240, 60))),))


def made(*pages: Image.Image, text: PageText | None = TEXT, jpeg: bytes | None = None) -> bytes:
    buffer = io.BytesIO()
    pdf = PicturePdf(buffer)
    for image in pages:
        pdf.add_page(image, text, dpi=100, jpeg=jpeg)
    pdf.finish()
    return buffer.getvalue()


def test_its_words_are_found_at_their_places() -> None:
    content = made(Image.new("RGB", (400, 200), "white"), Image.new("RGB", (400, 200), "red"))
    with pikepdf.open(io.BytesIO(content)) as pdf:
        assert pdf.check_pdf_syntax() == []
        assert len(pdf.pages) == 2
    document = pypdfium2.PdfDocument(content)
    page = document[0]
    assert page.get_size() == pytest.approx((288, 144))
    text = page.get_textpage()
    assert text.get_text_range().split() == ["Grüße", "价格"]
    text.count_rects()
    left, bottom, right, top = text.get_rect(0)  # of the first word and its space
    assert (left, right) == pytest.approx((28.8, 115.2), abs=1)
    assert 144 - top == pytest.approx(14.4, abs=3)
    assert bottom < top


def test_the_picture_is_lossless_and_nothing_is_painted_over_it() -> None:
    image = Image.effect_noise((60, 40), 90).convert("RGB")
    image.putpixel((1, 1), (255, 0, 0))
    with pikepdf.open(io.BytesIO(made(image))) as pdf:
        stored = pikepdf.PdfImage(pdf.pages[0].images["/Picture"]).as_pil_image()
    assert stored.convert("RGB").tobytes() == image.tobytes()
    white = made(Image.new("RGB", (400, 200), "white"))
    drawn = pypdfium2.PdfDocument(white)[0].render().to_pil().convert("L")
    assert drawn.getextrema() == (255, 255)


def test_the_bytes_of_a_jpeg_are_taken_as_they_are() -> None:
    buffer = io.BytesIO()
    image = Image.new("RGB", (40, 30), "blue")
    image.save(buffer, "JPEG")
    with pikepdf.open(io.BytesIO(made(image, jpeg=buffer.getvalue(), text=None))) as pdf:
        assert pdf.pages[0].images["/Picture"].read_raw_bytes() == buffer.getvalue()


def test_the_same_input_makes_the_same_bytes() -> None:
    image = Image.new("L", (40, 30), 7)
    assert made(image) == made(image)


def test_pages_have_the_size_of_their_resolution_within_the_readers_limit() -> None:
    assert page_size((1700, 2200), 200) == (612, 792)
    assert page_size((1700, 2200), None) == (612, 792)
    assert max(page_size((100_000, 10), 72)) == pytest.approx(14_400)


def test_pictures_have_no_more_colours_than_they_need() -> None:
    assert fewest_colours(Image.new("RGB", (9, 9), "white")).mode == "1"
    assert fewest_colours(Image.new("RGB", (9, 9), (7, 7, 7))).mode == "L"
    assert fewest_colours(Image.new("RGB", (9, 9), (7, 7, 8))).mode == "RGB"
