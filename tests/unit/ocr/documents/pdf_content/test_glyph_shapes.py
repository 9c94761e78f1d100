"""Fonts whose character map gives other letters, found by the heights of their glyphs."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import LayerFault, find_fault
from tests.corpus.documents.raw_pdf import assemble, one_page, page, stream
from tests.support.fixtures.made_documents import write

FIELD = Path(__file__).parents[4] / "corpus" / "documents" / "field"
TEXT = (
    "The quick brown fox jumps over the lazy dog near the bank",
    "Each order is sent by rail and will be paid within a month",
    "Please keep this letter for your own records and reference",
)
FONTS = ("Helvetica", "Times-Roman", "Times-Italic", "Courier", "Helvetica-Bold")


def read(path: Path) -> TextLayer:
    with open_document(path, dpi=144) as document:
        layer = document.page(1).text_layer
    assert layer is not None
    return layer


def mapped(table: dict[str, str], font: str = "Helvetica") -> bytes:
    """Return a PDF that shows ``TEXT``, with a map that makes other letters of it."""
    pairs = b"\n".join(
        b"<%02x> <%04x>" % (ord(code), ord(table.get(code, code)))
        for code in string.ascii_letters + " "
    )
    cmap = (
        b"begincmap\n1 begincodespacerange\n<00> <ff>\nendcodespacerange\n"
        b"%d beginbfchar\n%s\nendbfchar\nendcmap"
    )
    lines = b"".join(b"(%s) Tj 0 -20 Td " % line.encode() for line in TEXT)
    resources = (
        b"<< /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /%s /ToUnicode 5 0 R >> >> >>"
        % font.encode()
    )
    objects = one_page(
        page=page(box=b"/MediaBox [0 0 500 200]", resources=resources),
        contents=stream(b"BT /F 12 Tf 20 150 Td %s ET" % lines),
    )
    return assemble(objects | {5: stream(cmap % (53, pairs))})


@pytest.mark.parametrize("seed", range(12))
def test_permuted_letters_are_found(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    small = list(string.ascii_lowercase)
    rng.shuffle(small)
    table = dict(zip(string.ascii_lowercase, small, strict=True))
    layer = read(write(tmp_path, "a.pdf", mapped(table, FONTS[seed % len(FONTS)])))
    assert TEXT[0][1:9] not in layer.text
    assert find_fault(layer) is LayerFault.GARBAGE


@pytest.mark.parametrize("shift", [1, 3, 13])
def test_shifted_letters_are_found(tmp_path: Path, shift: int) -> None:
    letters = string.ascii_lowercase
    table = dict(zip(letters, letters[shift:] + letters[:shift], strict=True))
    assert find_fault(read(write(tmp_path, "a.pdf", mapped(table)))) is LayerFault.GARBAGE


def test_the_map_of_the_field_is_found() -> None:
    assert find_fault(read(FIELD / "wrong_tounicode.pdf")) is LayerFault.GARBAGE


@pytest.mark.parametrize("font", FONTS)
def test_right_maps_are_right(tmp_path: Path, font: str) -> None:
    layer = read(write(tmp_path, "a.pdf", mapped({}, font)))
    assert layer.text.split("\n") == list(TEXT)
    assert (layer.unmapped, find_fault(layer)) == (0.0, None)


def test_capitals_for_small_letters_have_one_height(tmp_path: Path) -> None:
    """A font of small capitals: its ``a`` is as tall as its ``b``."""
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(500, 200))
    canvas.setFont("Helvetica", 12)
    for number, line in enumerate(TEXT):
        canvas.drawString(20, 150 - 20 * number, line.upper())
    canvas.save()
    assert read(tmp_path / "a.pdf").unmapped == 0


def test_mixed_sizes_of_a_font_are_compared_by_their_size(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(500, 300))
    for number, size in enumerate((8, 12, 20)):
        canvas.setFont("Helvetica", size)
        canvas.drawString(20, 250 - 40 * number, TEXT[number][:40])
    canvas.scale(2, 2)
    canvas.setFont("Helvetica", 4)
    canvas.drawString(10, 20, TEXT[0])
    canvas.save()
    assert read(tmp_path / "a.pdf").unmapped == 0
