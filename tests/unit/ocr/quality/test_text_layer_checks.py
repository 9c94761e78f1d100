"""Usability of text layers, and their agreement with model output."""

from __future__ import annotations

import re
from pathlib import Path

import pikepdf
import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import (
    LayerFault,
    check_agreement,
    find_fault,
    measure_agreement,
    page_scripts,
)
from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS
from tests.conftest import ROOT
from tests.corpus.model_outputs.languages import SENTENCES
from tests.support.fixtures.text_layer_pdf import PROSE, layer_of, write_pdf

DOCUMENTS = ROOT / "demo" / "documents"
DEJAVU = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")


def test_the_layer_of_a_born_digital_pdf_is_usable() -> None:
    layer, text_edges = layer_of(DOCUMENTS / "invoice.pdf")
    assert find_fault(layer, text_edges) is None
    assert page_scripts(layer) == {"LATIN"}


def test_a_scan_has_an_empty_layer() -> None:
    layer, text_edges = layer_of(DOCUMENTS / "congress.pdf")
    assert find_fault(layer, text_edges) is LayerFault.EMPTY


def test_an_invisible_layer_is_not_usable(tmp_path: Path) -> None:
    layer, _ = layer_of(write_pdf(tmp_path, mode=3))
    assert find_fault(layer) is LayerFault.INVISIBLE
    visible, text_edges = layer_of(write_pdf(tmp_path, mode=0))
    assert find_fault(visible, text_edges) is None


def test_a_font_without_a_character_map_is_garbage(tmp_path: Path) -> None:
    if not DEJAVU.exists():
        pytest.skip("fonts-dejavu-core is not installed")
    pdfmetrics.registerFont(TTFont("DejaVu", str(DEJAVU)))
    path = write_pdf(tmp_path, font="DejaVu")
    intact, text_edges = layer_of(path)
    assert find_fault(intact, text_edges) is None
    corrupted = tmp_path / "corrupted.pdf"
    with pikepdf.open(path) as document:
        for each in document.objects:
            if isinstance(each, pikepdf.Dictionary) and "/ToUnicode" in each:
                table = each["/ToUnicode"].read_bytes()
                private = re.sub(rb"<00([0-9A-Fa-f]{2})>", rb"<E0\1>", table)
                assert private != table
                each["/ToUnicode"].write(private)
        document.save(corrupted)
    layer, text_edges = layer_of(corrupted)
    assert find_fault(layer, text_edges) is LayerFault.GARBAGE


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
def test_usability(text: str, text_edges: int | None, fault: LayerFault | None) -> None:
    assert find_fault(TextLayer(text), text_edges) is fault


def test_unmapped_characters_are_garbage() -> None:
    assert find_fault(TextLayer("readable", unmapped=0.5)) is LayerFault.GARBAGE
    assert find_fault(TextLayer("readable", unmapped=0.02)) is None


def test_a_few_letters_of_another_script_are_not_the_pages_script() -> None:
    russian = " ".join(SENTENCES["russian"])
    assert page_scripts(TextLayer(russian + " kg")) == {"CYRILLIC"}
    assert page_scripts(TextLayer(russian + " ".join(PROSE))) == {"CYRILLIC", "LATIN"}
    assert page_scripts(TextLayer("12.50")) == frozenset()


def test_the_same_text_agrees_whatever_its_markup() -> None:
    layer = "Total: 5.00\nTHE EXAM-\nPLE ﬁts"
    output = "# total\n<table><tr><td>5.00</td></tr></table>\nThe example **fits**"
    agreement = measure_agreement(layer, output)
    assert (agreement.unordered, agreement.ordered) == (1, 1)
    assert (agreement.only_in_layer, agreement.only_in_output) == (0, 0)


def test_only_the_ordered_agreement_depends_on_the_order() -> None:
    agreement = measure_agreement(" ".join(PROSE), " ".join(reversed(PROSE)))
    assert agreement.unordered == 1
    assert agreement.ordered < 0.5


def test_shares_of_words_that_only_one_text_has() -> None:
    agreement = measure_agreement("one two three four", "one two five")
    assert agreement.only_in_layer == 0.5
    assert agreement.only_in_output == pytest.approx(1 / 3)
    assert agreement.unordered == pytest.approx(4 / 7)
    assert measure_agreement("", "").unordered == 1
    assert measure_agreement("a b", "").unordered == 0


def test_characters_of_scripts_without_spaces_are_compared_one_by_one() -> None:
    assert measure_agreement("本合同自双方签字", "本合同自双方盖章").unordered == 0.75


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (" ".join(PROSE), set()),
        (" ".join(reversed(PROSE)), set()),
        (" ".join(SENTENCES["german"]), {Flag.LAYER_DISAGREES, Flag.ONLY_IN_LAYER, Flag.ONLY_IN_OUTPUT}),
        (" ".join(PROSE[:10]), {Flag.ONLY_IN_LAYER}),
        (" ".join(PROSE + SENTENCES["german"]), {Flag.ONLY_IN_OUTPUT}),
    ],
    ids=["same", "another order", "hallucinated", "a part", "more"],
)  # fmt: skip
def test_output_that_differs_from_the_layer_is_flagged(output: str, expected: set[Flag]) -> None:
    agreement = measure_agreement(" ".join(PROSE), output)
    assert check_agreement(agreement, THRESHOLDS) == expected


def test_too_few_words_tell_nothing() -> None:
    assert check_agreement(measure_agreement("1 2 3 4", "a b c"), THRESHOLDS) == set()
    assert check_agreement(measure_agreement("1 2 3 4 5", "a b c"), THRESHOLDS) != set()
    assert check_agreement(None, THRESHOLDS) == set()


@pytest.mark.timeout(30)
def test_long_texts_are_compared_in_linear_time() -> None:
    agreement = measure_agreement(" ".join(PROSE * 100), " ".join(PROSE[::-1] * 100))
    assert agreement.unordered == 1
