"""Text layers of PDFs: their text and its positions."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.text_layer import LayerLine, TextLayer
from airflow_deepseek_ocr.ocr.results import Box, Region
from tests.conftest import ROOT
from tests.support.fixtures.text_layer_pdf import layer_of, write_pdf

DOCUMENTS = ROOT / "demo" / "documents"


def test_the_lines_of_a_born_digital_pdf_have_positions() -> None:
    layer, _ = layer_of(DOCUMENTS / "invoice.pdf")
    first = layer.regions[0]
    assert first.text == "Invoice INV-2041"
    x1, y1, x2, y2 = first.boxes[0].pixels
    assert 80 <= x1 < 100 < 700 < x2 < 800
    assert 80 < y1 < y2 < 160
    assert first.boxes[0].normalized == tuple(
        round(value * 999 / 1280) for value in (x1, y1, x2, y2)
    )


def test_positions_on_a_rotated_page(tmp_path: Path) -> None:
    with open_document(write_pdf(tmp_path, rotate=90), dpi=72) as document:
        page = document.page(1)
    assert page.image.size == (300, 400)
    assert page.text_layer is not None
    for line in page.text_layer.lines:
        x1, y1, x2, y2 = line.box.pixels
        assert 0 <= x1 < x2 <= 300
        assert 0 <= y1 < y2 <= 400
        darkest, _ = page.image.convert("L").crop(line.box.pixels).getextrema()
        assert darkest < 128, "the image has no text where the layer has a line"


@pytest.mark.parametrize(("mode", "invisible"), [(0, 0), (3, 1)])
def test_the_share_of_invisible_text(tmp_path: Path, mode: int, invisible: float) -> None:
    layer, _ = layer_of(write_pdf(tmp_path, mode=mode))
    assert layer.invisible == invisible


def test_images_have_no_layer() -> None:
    with open_document(DOCUMENTS / "table.png") as document:
        assert document.page(1).text_layer is None


def test_lines_become_regions_with_the_plain_label() -> None:
    box = Box((0, 0, 999, 499), (0, 0, 700, 450))
    layer = TextLayer("one\ntwo", (LayerLine("one", box), LayerLine("two", box)))
    assert layer.regions == (Region("text", "one", (box,)), Region("text", "two", (box,)))
    assert TextLayer("").regions == ()
