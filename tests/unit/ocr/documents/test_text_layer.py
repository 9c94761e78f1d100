"""Text layers of PDFs: read with their places, judged, and compared with readings."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pikepdf
import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.text_layer import LayerFault, TextLayer, compare
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from tests.conftest import ROOT
from tests.corpus.model_outputs.languages import SENTENCES

DOCUMENTS = ROOT / "demo" / "documents"
PROSE = SENTENCES["english"]
DEJAVU = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")


def layer_of(path: Path) -> tuple[TextLayer, int]:
    """The first page's layer, and the strokes on it."""
    with open_document(path) as document:
        page = document.page(1)
    assert page.text_layer is not None
    edge_density = measure_edge_density(page.image)
    assert edge_density is not None
    return page.text_layer, edge_density.text_edges


def pdf(
    directory: Path, *, mode: int | None = None, font: str = "Helvetica", rotate: int = 0
) -> Path:
    path = directory / f"{font}-{mode}-{rotate}.pdf"
    canvas = Canvas(str(path), pagesize=(400, 300))
    text = canvas.beginText(40, 250)
    text.setFont(font, 12)
    if mode is not None:
        text.setTextRenderMode(mode)
    for line in PROSE[:8]:
        text.textLine(line[:50])
    canvas.drawText(text)
    canvas.save()
    if rotate:
        with pikepdf.open(path, allow_overwriting_input=True) as document:
            document.pages[0].rotate(rotate, relative=False)
            document.save(path)
    return path


def test_the_layer_of_a_born_digital_pdf_is_sound_and_has_places() -> None:
    layer, text_edges = layer_of(DOCUMENTS / "invoice.pdf")
    assert layer.fault(text_edges) is None
    assert layer.scripts == {"LATIN"}
    first = layer.regions[0]
    assert first.text == "Invoice INV-2041"
    x1, y1, x2, y2 = first.boxes[0].pixels
    assert 80 <= x1 < 100 < 700 < x2 < 800
    assert 80 < y1 < y2 < 160
    assert first.boxes[0].normalized == tuple(
        round(value * 999 / 1280) for value in (x1, y1, x2, y2)
    )


def test_places_on_a_page_that_is_turned(tmp_path: Path) -> None:
    with open_document(pdf(tmp_path, rotate=90), dpi=72) as document:
        page = document.page(1)
    assert page.image.size == (300, 400)
    assert page.text_layer is not None
    for line in page.text_layer.lines:
        x1, y1, x2, y2 = line.box.pixels
        assert 0 <= x1 < x2 <= 300
        assert 0 <= y1 < y2 <= 400
        edge_density = page.image.convert("L").crop(line.box.pixels).getextrema()
        assert edge_density[0] < 128, "no print where the layer says there is"


def test_a_scan_has_an_empty_layer() -> None:
    layer, text_edges = layer_of(DOCUMENTS / "congress.pdf")
    assert layer.fault(text_edges) is LayerFault.EMPTY


def test_images_have_no_layer() -> None:
    with open_document(DOCUMENTS / "table.png") as document:
        assert document.page(1).text_layer is None


def test_an_invisible_layer_is_not_sound(tmp_path: Path) -> None:
    layer, _ = layer_of(pdf(tmp_path, mode=3))
    assert layer.invisible == 1
    assert layer.fault() is LayerFault.INVISIBLE
    visible, text_edges = layer_of(pdf(tmp_path, mode=0))
    assert visible.invisible == 0
    assert visible.fault(text_edges) is None


def test_a_font_with_characters_of_its_own_is_garbage(tmp_path: Path) -> None:
    if not DEJAVU.exists():
        pytest.skip("fonts-dejavu-core is not installed")
    pdfmetrics.registerFont(TTFont("DejaVu", str(DEJAVU)))
    path = pdf(tmp_path, font="DejaVu")
    whole, text_edges = layer_of(path)
    assert whole.fault(text_edges) is None
    spoilt = tmp_path / "spoilt.pdf"
    with pikepdf.open(path) as document:
        for each in document.objects:
            if isinstance(each, pikepdf.Dictionary) and "/ToUnicode" in each:
                table = each["/ToUnicode"].read_bytes()
                private = re.sub(rb"<00([0-9A-Fa-f]{2})>", rb"<E0\1>", table)
                assert private != table
                each["/ToUnicode"].write(private)
        document.save(spoilt)
    layer, text_edges = layer_of(spoilt)
    assert layer.fault(text_edges) is LayerFault.GARBAGE


@pytest.mark.parametrize(
    ("text", "text_edges", "fault"),
    [
        ("", None, LayerFault.EMPTY),
        (" \n - . \n", None, LayerFault.EMPTY),
        ("\ue001\ue002\ue003 abc", None, LayerFault.GARBAGE),
        ("a\ufffdb\ufffd c", None, LayerFault.GARBAGE),
        ("Page 3", 50_000, LayerFault.SPARSE),
        ("Page 3", 100, None),
        (" ".join(PROSE) + "\uf0b7", 20_000, None),
    ],
)
def test_soundness(text: str, text_edges: int | None, fault: LayerFault | None) -> None:
    assert TextLayer(text).fault(text_edges) is fault


def test_unmapped_characters_are_garbage() -> None:
    assert TextLayer("readable", unmapped=0.5).fault() is LayerFault.GARBAGE


def test_the_same_text_agrees_whatever_its_markup() -> None:
    layer = "Total: 5.00\nTHE EXAM-\nPLE ﬁts"
    reading = "# total\n<table><tr><td>5.00</td></tr></table>\nThe example **fits**"
    agreement = compare(layer, reading)
    assert (agreement.unordered, agreement.ordered) == (1, 1)
    assert (agreement.only_in_layer, agreement.only_in_reading) == (0, 0)


def test_order_counts_only_where_it_should() -> None:
    agreement = compare(" ".join(PROSE), " ".join(reversed(PROSE)))
    assert agreement.unordered == 1
    assert agreement.ordered < 0.5


def test_what_is_only_in_one() -> None:
    agreement = compare("one two three four", "one two five")
    assert agreement.only_in_layer == 0.5
    assert agreement.only_in_reading == pytest.approx(1 / 3)
    assert agreement.unordered == pytest.approx(4 / 7)
    assert compare("", "").unordered == 1
    assert compare("a b", "").unordered == 0


def test_signs_without_spaces_are_compared_one_by_one() -> None:
    assert compare("本合同自双方签字", "本合同自双方盖章").unordered == 0.75


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (" ".join(PROSE), set()),
        (" ".join(reversed(PROSE)), set()),
        (" ".join(SENTENCES["german"]), {Flag.LAYER_DISAGREES, Flag.ONLY_IN_LAYER, Flag.ONLY_IN_READING}),
        (" ".join(PROSE[:10]), {Flag.ONLY_IN_LAYER}),
        (" ".join(PROSE + SENTENCES["german"]), {Flag.ONLY_IN_READING}),
    ],
    ids=["same", "another order", "invented", "a part", "more"],
)  # fmt: skip
def test_the_judge_notices_what_the_layer_does_not_say(reading: str, expected: set[Flag]) -> None:
    agreement = compare(" ".join(PROSE), reading)
    assert set(check_quality(QualityInput(reading, "free", agreement=agreement)).flags) == expected


def test_long_texts_are_compared_in_no_time() -> None:
    started = time.monotonic()
    compare(" ".join(PROSE * 100), " ".join(PROSE[::-1] * 100))
    assert time.monotonic() - started < 2
