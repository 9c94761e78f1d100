"""The figures of an evaluation, on cases made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.markup.grounding import parse
from training.batches import BatchMaker
from training.density import as_table as as_density_table
from training.density import characters_per_token
from training.evaluate import (
    REFUSE,
    EvaluationSet,
    Figures,
    _measure,
    _overlap,
    _overlaps,
    _table_shapes,
    _tables_right,
    as_table,
    held_out_pages,
)
from training.page import Block, Glyph, Line, Page


class Reader:
    """An engine that gives prepared answers, in order.

    :param answers: the text for each page; None for a page that cannot be read.
    """

    def __init__(self, *answers: str | None, finish: FinishReason = FinishReason.STOP) -> None:
        self.answers, self.finish = answers, finish

    def read(self, requests: Iterable[PageRequest]) -> Iterator[PageOutput]:
        for request, text in zip(requests, self.answers, strict=True):
            if text is None:
                yield PageOutput(
                    key=request.key, error=UnavailableError("model_missing", "no model")
                )
            else:
                yield PageOutput(key=request.key, text=text, finish_reason=self.finish)


def page(*lines: str) -> Page:
    """A page of 100 x 100 pixels with a block for each line, at its left edge."""
    blocks = []
    for row, text in enumerate(lines):
        box = (0, 20 * row, 50, 20 * row + 10)
        blocks.append(Block("text", box, (Line(text, box),), text))
    return Page(Image.new("L", (100, 100), 255), "list" if lines else "blank", tuple(blocks))


def measure(prompt: str, reader: Reader, *pages: Page) -> Figures:
    asked = "free" if prompt == REFUSE else prompt
    each = EvaluationSet("small", prompt.partition(":")[0], len(pages))
    return _measure(each, reader, [(each, asked) for each in pages])  # type: ignore[arg-type]


def regions(*boxes: str) -> tuple:  # type: ignore[type-arg]
    text = "\n".join(f"<|ref|>text<|/ref|><|det|>[[{box}]]<|/det|>\nx" for box in boxes)
    return parse(text, text_in_ref=False, width=1000, height=1000)


def test_overlap_of_two_boxes() -> None:
    assert _overlap((0, 0, 9, 9), (0, 0, 9, 9)) == 1
    assert _overlap((0, 0, 9, 9), (5, 0, 14, 9)) == pytest.approx(50 / 150)
    assert _overlap((0, 0, 9, 9), (10, 0, 19, 9)) == 0
    assert _overlap((9, 9, 0, 0), (0, 0, 9, 9)) == 0


def test_each_box_is_taken_once_and_a_missing_one_counts_nothing() -> None:
    truth = regions("0, 0, 9, 9", "0, 20, 9, 29", "0, 40, 9, 49")
    read = regions("0, 20, 9, 29", "0, 0, 9, 9")
    assert _overlaps(truth, read) == [1, 1, 0]
    assert _overlaps(truth[:1] * 2, read[1:]) == [1, 0]
    assert _overlaps((), read) == []


def test_tables_are_right_if_rows_and_cells_are() -> None:
    row = "<tr><td>a</td><td></td></tr>"
    table = f"<table>{row}{row}</table>"
    assert _table_shapes(f"x {table} y <table>{row}</table>") == [(2, 2), (2,)]
    assert _tables_right(table, table.replace(">a<", ">b<")) == [True]
    assert _tables_right(table + table, table) == [True, False]
    assert _tables_right(table, f"<table>{row}</table>") == [False]
    assert _tables_right("no table", table) == []


def test_character_error_counts_edits_over_all_pages() -> None:
    figures = measure("free", Reader("harbor", "wimdow"), page("harbor"), page("window"))
    assert figures.character_error == pytest.approx(1 / 12)
    assert figures.median_error == pytest.approx(1 / 6)
    assert figures.without_end == 0
    assert (figures.box_overlap, figures.tables_right, figures.refused) == (None, None, None)


def test_white_space_is_no_error_and_a_page_read_twice_is() -> None:
    assert measure("free", Reader(" a  b\n\nc "), page("a b", "c")).character_error == 0
    assert measure("free", Reader("ab ab"), page("ab")).character_error == pytest.approx(3 / 2)


def test_boxes_are_measured_apart_from_the_text() -> None:
    answer = "<|ref|>text<|/ref|><|det|>[[0, 0, 499, 49]]<|/det|>\nharbor\n"
    figures = measure("markdown", Reader(answer), page("harbor"))
    assert figures.character_error == 0
    assert figures.box_overlap == pytest.approx(0.5, abs=0.01)


def test_a_text_without_end_is_counted() -> None:
    reader = Reader("harbor", finish=FinishReason.LENGTH)
    assert measure("free", reader, page("harbor")).without_end == 1


def test_only_nothing_refuses_a_page_without_text() -> None:
    figures = measure(REFUSE, Reader("", " \n", "A", "<table>"), *[page()] * 4)
    assert figures.refused == 0.5
    assert figures.character_error is None


def test_what_the_question_holds_is_not_counted_as_read() -> None:
    answer = "<|ref|>harbor<|/ref|><|det|>[[0, 0, 500, 100]]<|/det|>"
    figures = measure("locate:harbor", Reader(answer), page("harbor"))
    assert figures.character_error is None
    assert figures.box_overlap == pytest.approx(1, abs=0.01)


def test_a_page_that_cannot_be_read_ends_the_evaluation() -> None:
    with pytest.raises(UnavailableError):
        measure("free", Reader(None), page("harbor"))


def test_the_table_leaves_out_what_a_set_does_not_have() -> None:
    read = Figures("base", "markdown", 60, 0.2361, 0.1451, 0.4136, 0.3684, 0.0)
    refused = Figures("small", "refuse", 30, None, None, None, None, 0.0, 0.9)
    assert as_table([read, refused]).splitlines()[2:] == [
        "| base | markdown | 60 | 23.6% | 14.5% | 0.41 | 36.8% | 0.0% |  |",
        "| small | refuse | 30 |  |  |  |  | 0.0% | 90.0% |",
    ]


def test_held_out_pages_are_always_the_same(assets: Path) -> None:
    each = EvaluationSet("small", "free", 4)
    pages, again = (list(held_out_pages(BatchMaker(assets, "heldout"), each)) for _ in range(2))
    assert [page.blocks for page, _ in pages] == [page.blocks for page, _ in again]


def test_errors_are_grouped_by_how_densely_a_page_is_printed() -> None:
    """In small mode a page of 100 pixels is seen at 6.4 times its size: a token sees ten pixels of it."""
    sparse, dense = page("ab"), page("abcdefgh")
    sparse.glyphs += [Glyph("a", 5, 5), Glyph("b", 15, 5)]
    dense.glyphs += [Glyph(letter, 5, 5) for letter in "abcdefgh"]
    figures = measure("free", Reader("ab", "abcd"), sparse, dense)
    assert [(band.most, band.pages, band.character_error) for band in figures.by_density] == [
        (3.0, 1, 0.0),
        (float("inf"), 1, 0.5),
    ]
    table = as_density_table([("small free", figures.by_density)]).splitlines()
    assert table[0].endswith("| 6 to 8 | 8 and more |")
    assert table[2] == "| small free | 0.0% (1) |  |  |  |  | 50.0% (1) |"


def test_in_tiles_the_tiles_tokens_count() -> None:
    wide = Page(Image.new("L", (1280, 640), 255), "list")
    wide.glyphs += [Glyph("a", 10, 10), Glyph("b", 30, 30), Glyph("c", 1270, 10)]
    assert characters_per_token(wide, DEEPSEEK_OCR.resolution("gundam")) == 1.5
    assert characters_per_token(wide, DEEPSEEK_OCR.resolution("small")) == 1.5
    assert characters_per_token(Page(wide.image, "blank"), DEEPSEEK_OCR.resolution("small")) == 0.0
