"""Invisible text in existing PDFs."""

from __future__ import annotations

import io
from typing import Any

import pikepdf
import pypdfium2
import pytest
from pikepdf import Array, Dictionary, Name

from airflow_deepseek_ocr.exceptions import DocumentError
from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import PageText
from airflow_deepseek_ocr.ocr.exports.pdf.searchable_pdf import add_text

CONTENT = (
    b"Q Q 5 0 0 5 0 0 cm 1 0 0 rg 0 0 9 9 re f"  # more Q than q, and a state that stays changed
)


def made(pages: int = 1, **changes: Any) -> bytes:
    """Return a PDF of pages of 400 x 200 units with the given attributes."""
    buffer = io.BytesIO()
    with pikepdf.new() as pdf:
        for _ in range(pages):
            page = pdf.add_blank_page(page_size=(400, 200))
            page.Contents = pdf.make_stream(CONTENT)
            for name, value in changes.items():
                page.obj[f"/{name}"] = value
        pdf.save(buffer)
    return buffer.getvalue()


def with_text(content: bytes, size: tuple[int, int] | None = None, page_count: int = 1) -> bytes:
    """Return the PDF with the word in the upper left quarter of each page as it is shown."""
    document = pypdfium2.PdfDocument(content)
    shown = [page.render().to_pil().size for page in document]
    texts = {
        number: PageText(
            width,
            height,
            0,
            ((("needle", (width // 8, height // 8, width // 2, height // 4)),),),
        )
        for number, (width, height) in enumerate([size] if size else shown, start=1)
    }
    target = io.BytesIO()
    add_text(io.BytesIO(content), texts, page_count, target)
    return target.getvalue()


def place_of(content: bytes, word: str) -> tuple[float, float, float, float]:
    """Return a word's box in shares of the first page as PDFium shows it."""
    page = pypdfium2.PdfDocument(content)[0]
    text = page.get_textpage()
    found = text.search(word).get_next()
    assert found is not None
    width, height = page.render().to_pil().size
    boxes = [text.get_charbox(found[0] + number, loose=True) for number in range(found[1])]
    points = []
    for left, bottom, right, top in boxes:
        for x, y in ((left, bottom), (right, top)):
            points.append(_to_device(page, (width, height), x, y))
    return (
        min(x for x, _ in points) / width,
        min(y for _, y in points) / height,
        max(x for x, _ in points) / width,
        max(y for _, y in points) / height,
    )


def _to_device(page: Any, size: tuple[int, int], x: float, y: float) -> tuple[int, int]:
    import ctypes

    from pypdfium2 import raw

    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page.raw, 0, 0, *size, 0, x, y, across, down)
    return across.value, down.value


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"CropBox": Array([50, 20, 350, 170])},
        {"UserUnit": 2, "CropBox": Array([9, 9, 300, 199])},
    ],
    ids=["plain", "crop box", "user unit"],
)
def test_a_word_is_found_where_it_is_seen(rotation: int, changes: dict[str, Any]) -> None:
    content = with_text(made(Rotate=rotation, **changes))
    assert place_of(content, "needle") == pytest.approx((1 / 8, 1 / 8, 1 / 2, 1 / 4), abs=0.02)


def test_the_pages_own_content_and_picture_stay() -> None:
    before = made()
    after = with_text(before)
    with pikepdf.open(io.BytesIO(after)) as pdf:
        assert pdf.check_pdf_syntax() == []
        assert pdf.pages[0].Contents[1].read_bytes() == CONTENT
    pictures = [pypdfium2.PdfDocument(each)[0].render().to_pil() for each in (before, after)]
    assert pictures[0].tobytes() == pictures[1].tobytes()
    assert with_text(before) == after


def test_resources_that_pages_inherit_stay_theirs() -> None:
    buffer = io.BytesIO()
    with pikepdf.open(io.BytesIO(made())) as pdf:
        pdf.Root.Pages.Resources = Dictionary(
            Font=Dictionary(
                F1=Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Courier)
            )
        )
        del pdf.pages[0].obj["/Resources"]
        pdf.save(buffer)
    with pikepdf.open(io.BytesIO(with_text(buffer.getvalue()))) as pdf:
        assert set(pdf.pages[0].resources.Font.keys()) == {"/F1", "/DeepSeekOCRText"}


def test_text_of_another_run_keeps_its_font() -> None:
    twice = with_text(with_text(made()))
    # PDFium shows text once that lies twice at the same place.
    assert pypdfium2.PdfDocument(twice)[0].get_textpage().get_text_range() == "needle"
    with pikepdf.open(io.BytesIO(twice)) as pdf:
        assert set(pdf.pages[0].resources.Font.keys()) == {"/DeepSeekOCRText", "/DeepSeekOCRText1"}


def test_an_owners_password_is_not_taken_off() -> None:
    buffer = io.BytesIO()
    with pikepdf.open(io.BytesIO(made())) as pdf:
        pdf.save(buffer, encryption=pikepdf.Encryption(owner="secret", user=""))
    with pytest.raises(DocumentError, match="encrypted") as refused:
        with_text(buffer.getvalue())
    assert refused.value.code == "export_protected"


@pytest.mark.parametrize("how", ["flag", "field", "rights"])
def test_a_signature_is_not_broken(how: str) -> None:
    buffer = io.BytesIO()
    with pikepdf.open(io.BytesIO(made())) as pdf:
        field = Dictionary(FT=Name.Sig, T="s", V=Dictionary(Type=Name.Sig))
        if how == "flag":
            pdf.Root.AcroForm = Dictionary(Fields=Array(), SigFlags=3)
        elif how == "field":
            parent = Dictionary(Kids=Array([pdf.make_indirect(field)]))
            pdf.Root.AcroForm = Dictionary(Fields=Array([pdf.make_indirect(parent)]))
        else:
            pdf.Root.Perms = Dictionary(DocMDP=Dictionary())
        pdf.save(buffer)
    with pytest.raises(DocumentError) as refused:
        with_text(buffer.getvalue())
    assert refused.value.code == "export_signed"


def test_pages_that_are_not_those_of_the_renderer_are_refused() -> None:
    with pytest.raises(DocumentError, match="2 pages") as refused:
        with_text(made(2), page_count=3)
    assert refused.value.code == "damaged"
    with pytest.raises(DocumentError) as refused:
        add_text(io.BytesIO(b"%PDF-1.7 nothing"), {}, 1, io.BytesIO())
    assert refused.value.code == "damaged"
