"""Answers are what the project's own parser makes the page's blocks of."""

from __future__ import annotations

import random

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.markup.grounding import parse
from training.page import Block, Line, Page
from training.targets import choose_prompt, target

WIDTH, HEIGHT = 500, 1000


def line(text: str, top: float) -> Line:
    return Line(text, (50, top, 450, top + 20))


HEADING = line("Invoice", 40)
ROWS = (line("Ship to", 100), line("12 Garden Road", 125))
CELLS = (line("Paper", 220), line("48.00", 220), line("Glass", 250))
PAGE = Page(
    Image.new("L", (WIDTH, HEIGHT), 255),
    "invoice",
    (
        Block("title", HEADING.box, (HEADING,), HEADING.text),
        Block("text", (50, 100, 450, 145), ROWS, "Ship to\n12 Garden Road"),
        Block("table", (40, 210, 460, 280), CELLS, "", (("Paper", "48.00"), ("Glass", ""))),
        Block("image", (40, 500, 460, 900)),
    ),
)
TABLE = "<table><tr><td>Paper</td><td>48.00</td></tr><tr><td>Glass</td><td></td></tr></table>"


def test_free_text_is_line_by_line() -> None:
    assert target(PAGE, "free") == f"Invoice\nShip to\n12 Garden Road\n{TABLE}"


def test_markdown_has_a_region_for_each_block() -> None:
    regions = parse(target(PAGE, "markdown"), text_in_ref=False, width=WIDTH, height=HEIGHT)
    assert [(region.label, region.text) for region in regions] == [
        ("title", "# Invoice"),
        ("text", "Ship to\n12 Garden Road"),
        ("table", TABLE),
        ("image", ""),
    ]
    for region, block in zip(regions, PAGE.blocks, strict=True):
        (box,) = region.boxes
        assert box.pixels == pytest.approx(block.box, abs=1)


def test_ocr_has_a_region_for_each_line_and_cell() -> None:
    regions = parse(target(PAGE, "ocr"), text_in_ref=True, width=WIDTH, height=HEIGHT)
    lines = [HEADING, *ROWS, *CELLS]
    assert [region.text for region in regions] == [each.text for each in lines]
    for region, each in zip(regions, lines, strict=True):
        assert region.boxes[0].pixels == pytest.approx(each.box, abs=1)


def test_locate_describe_and_figure() -> None:
    (region,) = parse(target(PAGE, "locate:Ship to"), text_in_ref=True, width=WIDTH, height=HEIGHT)
    assert region.text == "Ship to"
    assert region.boxes[0].pixels == pytest.approx(ROWS[0].box, abs=1)
    assert target(PAGE, "describe") == (
        "The image shows an invoice. Its title is “Invoice”. "
        "It has a table of 2 rows and 2 columns."
    )
    assert target(PAGE, "figure") == TABLE
    chart = Page(PAGE.image, "chart", (), [], (("Month", "Pages"), ("May", "3")))
    assert target(chart, "figure") == (
        "<table><tr><td>Month</td><td>Pages</td></tr><tr><td>May</td><td>3</td></tr></table>"
    )
    with pytest.raises(ValueError, match="no prompt"):
        target(PAGE, "translate")


def test_nothing_is_said_about_nothing() -> None:
    blank = Page(PAGE.image, "blank")
    assert [target(blank, prompt) for prompt in ("free", "markdown", "ocr", "figure")] == [""] * 4
    picture = Page(PAGE.image, "picture", (Block("image", (0, 0, 500, 1000)),))
    assert [target(picture, prompt) for prompt in ("free", "ocr")] == [""] * 2


def test_boxes_stay_within_the_bins() -> None:
    beyond = Page(PAGE.image, "card", (Block("text", (-5, 0, 510, 1000), (), "x"),))
    assert "[[0, 0, 999, 999]]" in target(beyond, "markdown")


def test_only_a_text_that_stands_once_is_asked_for() -> None:
    twice = line("Garden", 300)
    page = Page(
        PAGE.image,
        "notes",
        (Block("text", twice.box, (twice, line("Garden", 330), line("Window", 360)), ""),),
    )
    asked = {choose_prompt(random.Random(seed), page, ("locate",)) for seed in range(20)}
    assert asked == {"locate:Window"}
    assert choose_prompt(random.Random(0), Page(PAGE.image, "blank"), ("locate",)) == "describe"
