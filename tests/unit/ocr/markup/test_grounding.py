"""Model text to regions and Markdown: the published format, and whatever else a model writes."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_deepseek_ocr.ocr.markup.grounding import parse, parse_with_places
from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.results import Region

MARKDOWN = (
    "<|ref|>title<|/ref|><|det|>[[10, 20, 500, 60]]<|/det|>\n# Invoice\n\n"
    "<|ref|>table<|/ref|><|det|>[[10, 100, 999, 300]]<|/det|>\n<table><tr><td>a</td></tr></table>\n\n"
    "<|ref|>image<|/ref|><|det|>[[0, 400, 999, 999]]<|/det|>\n"
)


def regions(text: str, *, text_in_ref: bool = False) -> tuple[Region, ...]:
    return parse(text, text_in_ref=text_in_ref, width=1998, height=999)


def test_markdown_format() -> None:
    title, table, image = regions(MARKDOWN)
    assert (title.label, title.text) == ("title", "# Invoice")
    assert title.boxes[0].normalized == (10, 20, 500, 60)
    assert title.boxes[0].pixels == (20, 20, 1000, 60)
    assert table.text == "<table><tr><td>a</td></tr></table>"
    assert (image.label, image.text) == ("image", "")
    expected = "# Invoice\n\n<table><tr><td>a</td></tr></table>\n\n<!-- image -->"
    assert to_markdown((title, table, image), text_in_ref=False) == expected


def test_ocr_format_has_the_text_inside_the_reference() -> None:
    text = (
        "<|ref|>Total: 5<|/ref|><|det|>[[1, 2, 3, 4], [5, 6, 7, 8]]<|/det|>\n"
        "<|ref|>Paid<|/ref|><|det|>[[1,2,3,4]]<|/det|>"
    )
    total, paid = regions(text, text_in_ref=True)
    assert (total.text, len(total.boxes), paid.text) == ("Total: 5", 2, "Paid")
    assert to_markdown((total, paid), text_in_ref=True) == "Total: 5\nPaid"


@pytest.mark.parametrize("text_in_ref", [False, True])
def test_places_are_those_of_text_and_boxes(text_in_ref: bool) -> None:
    text = f"  before\n{MARKDOWN}<|ref|> x <|/ref|><|det|>[[1,2,3,4], [5, 6, 7, 8]]<|/det|>  end "
    placed = parse_with_places(text, text_in_ref=text_in_ref, width=1998, height=999)
    assert tuple(each.region for each in placed) == regions(text, text_in_ref=text_in_ref)
    for each in placed:
        assert text.startswith(each.region.text, each.start)
        for box, (start, end) in zip(each.region.boxes, each.boxes, strict=True):
            numbers = tuple(int(number) for number in text[start + 1 : end - 1].split(","))
            assert numbers == box.normalized


def test_text_without_references_is_one_region() -> None:
    assert regions("plain text\n") == (Region("text", "plain text"),)
    assert regions("  \n") == ()


@pytest.mark.parametrize(
    "broken",
    [
        "<|ref|>title",
        "<|ref|>title<|/ref|>",
        "<|ref|>title<|/ref|><|det|>[[1, 2, 3",
        "<|ref|>title<|/ref|><|det|>[[1, 2, 3]]<|/det|>",
        "<|ref|>title<|/ref|><|det|>__import__('os')<|/det|>",
        "<|ref|>title<|/ref|><|det|>[[1, 2, 3, 4e999]]<|/det|>",
        "<|det|>[[1, 2, 3, 4]]<|/det|>",
        "<|/ref|><|/det|>",
    ],
)
def test_broken_markup_stays_in_the_text(broken: str) -> None:
    whole = "<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\nafter"
    before, after = regions(f"{broken} {whole}")
    assert before.text == broken
    assert after.text == "after"


def test_boxes_outside_the_page_are_kept_as_written_and_clipped_in_pixels() -> None:
    (region,) = regions("<|ref|>a<|/ref|><|det|>[[-5, 0, 2000, 999]]<|/det|>")
    assert region.boxes[0].normalized == (-5, 0, 2000, 999)
    assert region.boxes[0].pixels == (0, 0, 1998, 999)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("12.0, 20.4, 30.5, 41.6", (12, 20, 30, 42)),
        ("+12, 20., .5, 4e1", (12, 20, 0, 40)),
        ("-3.5, -0.0, 1e2, 9.99E+2", (-4, 0, 100, 999)),
        ("0.1, 0.2, 0.5, 1.0", (100, 200, 500, 999)),
        ("0, 0, 1, 1", (0, 0, 1, 1)),
        (" 1 ,\n2 ,  3\t, 4 ", (1, 2, 3, 4)),
        ("1e99, 2, -1e99, 4", (999_999, 2, -999_999, 4)),
    ],
    ids=["decimals", "forms", "negative", "shares", "whole", "spaces", "huge"],
)
def test_numbers_of_every_form_are_boxes(written: str, kept: tuple[int, ...]) -> None:
    (region,) = regions(f"<|ref|>text<|/ref|><|det|>[[{written}]]<|/det|>\nafter")
    assert region.text == "after"
    assert region.boxes[0].normalized == kept


FRAGMENTS = st.sampled_from(
    [
        "<|ref|>",
        "<|/ref|>",
        "<|det|>",
        "<|/det|>",
        "[[1, 2, 3, 4]]",
        "[[",
        "]]",
        "1, 2",
        "title",
        "\n",
    ]
)
TEXTS = st.lists(st.one_of(FRAGMENTS, st.text(max_size=8)), max_size=30).map("".join)


@given(TEXTS, st.booleans())
@settings(max_examples=300, deadline=None)
@example(MARKDOWN, False)
@example("<|ref|><|ref|>a<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>", True)
def test_no_text_is_lost(text: str, text_in_ref: bool) -> None:
    """Every character is in a region's label, text or boxes, in the order it was written."""
    found = parse(text, text_in_ref=text_in_ref, width=100, height=100)
    position = 0
    for region in found:
        pieces = [region.text] if text_in_ref or not region.boxes else [region.label, region.text]
        for piece in pieces:
            if piece == "text" and "text" not in text[position:]:
                continue  # the label of text that has none
            at = text.find(piece, position)
            assert at >= 0
            skipped = text[position:at]
            position = at + len(piece)
            assert set(skipped) <= set("<|ref>/dt[], -0123456789") | {
                c for c in skipped if c.isspace()
            }
    rest = text[position:]
    assert set(rest) <= set("<|ref>/dt[], -0123456789") | {c for c in rest if c.isspace()}


@pytest.mark.parametrize(
    "piece",
    [
        "<|ref|>",
        "<|ref|><|/ref|><|det|>",
        "<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4], ",
        "<|ref|>a<|/ref|><|det|>[[",
        "[[1,",
    ],
)
def test_time_is_linear_in_the_text(piece: str) -> None:
    started = time.process_time()
    regions(piece * 50_000)
    regions(f"{piece * 50_000}<|/ref|>")
    assert time.process_time() - started < 5
