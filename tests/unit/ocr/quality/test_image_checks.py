"""Flags of boxes, and of text against the page's image."""

from __future__ import annotations

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.edge_density import measure_edge_density
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS
from tests.corpus.model_outputs.languages import SENTENCES
from tests.support.fixtures.model_output import PROSE, edge_density_of, flags_of, image_of, region


@pytest.mark.parametrize(
    ("box", "flag"),
    [
        ("[0, 0, 1000, 50]", Flag.BOX_OUTSIDE),
        ("[-1, 0, 100, 50]", Flag.BOX_OUTSIDE),
        ("[500, 0, 100, 50]", Flag.BOX_INVERTED),
        ("[0, 90, 100, 50]", Flag.BOX_INVERTED),
    ],
)
def test_boxes(box: str, flag: Flag) -> None:
    good = region("one", "[0, 0, 999, 50]") + region("two", "[0, 60, 999, 90]")
    assert flags_of(good, "markdown") == set()
    assert flags_of(good + region("three", box), "markdown") == {flag}


def test_a_single_wrong_box_among_many_is_not_flagged() -> None:
    rows = [region(f"line {y}", f"[10, {y}, 900, {y + 5}]") for y in range(0, 600, 6)]
    assert flags_of("".join(rows) + region("x", "[0, 0, 1000, 5]"), "markdown") == set()


def test_boxes_alike() -> None:
    sentences = SENTENCES["english"]
    assert Flag.BOXES_ALIKE in flags_of("".join(map(region, sentences)), "markdown")
    assert flags_of("".join(map(region, sentences[:3])), "markdown") == set()


def test_more_text_in_a_box_than_could_be_seen_there() -> None:
    small = region(PROSE, "[10, 20, 60, 25]")
    found = flags_of(small, "markdown", vision_tokens=111, text_tokens=200)
    assert found == {Flag.BOX_CROWDED}
    large = region(PROSE, "[10, 20, 990, 900]")
    assert flags_of(large, "markdown", vision_tokens=111, text_tokens=200) == set()


def test_text_on_a_blank_page_and_no_text_on_a_full_one() -> None:
    blank, printed = (
        edge_density_of(image_of("")),
        edge_density_of(image_of("\n".join([PROSE[:80]] * 20))),
    )
    assert flags_of(PROSE, edge_density=blank) == {Flag.TEXT_ON_BLANK}
    assert flags_of("4", edge_density=blank) == {Flag.TEXT_ON_BLANK}
    assert flags_of("", edge_density=printed) == {Flag.NO_TEXT}
    assert flags_of("...", edge_density=printed) == {Flag.NO_TEXT}
    assert flags_of(PROSE, edge_density=printed) == set()
    assert flags_of("", edge_density=blank) == set()
    picture = region("", "[0, 0, 999, 999]", "image")
    assert flags_of(picture, "markdown", edge_density=printed) == set()
    assert flags_of("", "locate:Total", edge_density=printed) == set()


def test_text_in_boxes_without_text_on_the_image() -> None:
    upper_half = edge_density_of(image_of("\n".join([PROSE[:80]] * 18)))
    right = region(PROSE, "[20, 20, 980, 480]")
    assert flags_of(right, "markdown", edge_density=upper_half) == set()
    hallucinated = region(PROSE, "[20, 600, 980, 900]")
    assert flags_of(hallucinated, "markdown", edge_density=upper_half) == {Flag.TEXT_OFF_PRINT}
    # A page number too faint to be seen is a small part of the text, a picture's box holds none.
    faint, picture = region("7", "[480, 960, 520, 980]"), region("", "[0, 600, 999, 900]", "image")
    assert flags_of(right + faint + picture, "markdown", edge_density=upper_half) == set()
    # Tags are not printed, and boxes may be a little off.
    table = region(
        "<table>" + "<tr><td>4711</td></tr>" * 3 + "</table>", "[20, 20, 80, 40]", "table"
    )
    assert Flag.TEXT_OFF_PRINT not in flags_of(table, "markdown", edge_density=upper_half)
    assert flags_of(
        region(PROSE, "[20, 505, 980, 515]"),
        "markdown",
        edge_density=edge_density_of(image_of("x" * 60)),
    ) == {Flag.TEXT_OFF_PRINT}
    wrong = region(PROSE, "[980, 2000, -5, 5000]")
    assert Flag.TEXT_OFF_PRINT not in flags_of(wrong, "locate:x", edge_density=upper_half)


def test_a_page_of_few_huge_letters_is_not_blank() -> None:
    huge = edge_density_of(image_of("EXIT", 230))
    assert huge.text_edges < THRESHOLDS.blank_text_edges < huge.edges
    assert flags_of("EXIT", edge_density=huge) == set()
    assert flags_of(PROSE, edge_density=huge) == {Flag.TEXT_ON_BLANK}


@pytest.mark.parametrize(
    ("image", "text", "flags"),
    [
        (Image.new("L", (400, 300), 0), "", {Flag.DARK_PAGE}),
        (
            Image.new("L", (400, 300), 15),
            "<|ref|>image<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>",
            {Flag.DARK_PAGE},
        ),
        (
            Image.linear_gradient("L").resize((400, 300)).point(lambda grey: grey // 16),
            "",
            {Flag.DARK_PAGE},
        ),
        (Image.new("L", (400, 300), 255), "", set()),
        (Image.new("L", (400, 300), 100), "", set()),
        (
            Image.linear_gradient("L").resize((400, 300)),
            "<|ref|>image<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>",
            set(),
        ),
        (Image.new("L", (400, 300), 0), "Dear reader", {Flag.TEXT_ON_BLANK}),
    ],
    ids=["black", "picture of black", "black on black", "white", "grey sheet", "picture", "text"],
)
def test_a_black_page_without_text_is_flagged(
    image: Image.Image, text: str, flags: set[Flag]
) -> None:
    output = QualityInput(text=text, prompt="markdown", edge_density=measure_edge_density(image))
    assert set(check_quality(output).flags) == flags
