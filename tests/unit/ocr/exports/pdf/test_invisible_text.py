"""Content streams of invisible text."""

from __future__ import annotations

import json
import re

import pytest

from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import (
    InvisibleText,
    Matrix,
    PageText,
    product,
    to_user_space,
    turn_back,
)
from airflow_deepseek_ocr.ocr.exports.word_places import PlacedLine, PlacedWord
from airflow_deepseek_ocr.ocr.page_turns import turn_box

UPRIGHT = PageText(100, 200, 0, ((("ab", (10, 20, 30, 40)), ("c😀", (40, 20, 60, 40))),))


def at(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


@pytest.mark.parametrize(
    ("rotation", "corner"),
    [(0, (10, 220)), (90, (10, 20)), (180, (110, 20)), (270, (110, 220))],
)
def test_the_top_left_pixel_is_the_corner_that_the_rotation_puts_there(
    rotation: int, corner: tuple[int, int]
) -> None:
    matrix = to_user_space((10, 20, 110, 220), rotation, (300, 600))
    assert at(matrix, 0, 0) == pytest.approx(corner)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_pixels_of_the_turned_page_come_back(rotation: int) -> None:
    box = (10, 20, 30, 60)
    x1, y1, x2, y2 = turn_box(box, rotation, (100, 200))
    back = turn_back(PageText(100, 200, rotation, ()))
    corners = [at(back, x, y) for x in (x1, x2) for y in (y1, y2)]
    assert (min(x for x, _ in corners), min(y for _, y in corners)) == (10, 20)
    assert (max(x for x, _ in corners), max(y for _, y in corners)) == (30, 60)


def test_the_product_applies_the_first_one_first() -> None:
    double, shift = (2, 0, 0, 2, 0, 0), (1, 0, 0, 1, 5, 7)
    assert at(product(double, shift), 1, 1) == (7, 9)


def test_a_word_is_as_wide_as_its_box_and_the_state_is_restored() -> None:
    writer = InvisibleText()
    stream = writer.stream(UPRIGHT, (1, 0, 0, -1, 0, 200)).decode()
    assert stream.startswith("q\n1 0 0 -1 0 200 cm BT 3 Tr")
    assert stream.endswith("ET Q\n")
    # Two glyphs of 500/1000 at a size of 20 are 20 wide, as the box is.
    assert "/DeepSeekOCRText 20 Tf 100.000 Tz 1 0 0 -1 10 36.00 Tm <000200030001> Tj" in stream
    assert stream.count("0001>") == 1  # no space behind a line's last word


def test_each_character_has_a_code_also_beyond_the_first_plane() -> None:
    writer = InvisibleText()
    writer.stream(UPRIGHT, (1, 0, 0, 1, 0, 0))
    mapping = dict(re.findall(r"<([0-9a-f]{4})> <([0-9a-f]+)>", writer.character_map().decode()))
    decoded = {bytes.fromhex(value).decode("utf-16-be") for value in mapping.values()}
    assert decoded == set(" abc😀")
    assert len(set(mapping)) == 5


def test_words_from_right_to_left_are_written_as_they_are_seen() -> None:
    writer = InvisibleText()
    line = (("אב", (60, 0, 80, 10)), ("12", (20, 0, 40, 10)))
    stream = writer.stream(PageText(100, 10, 0, (line,)), (1, 0, 0, 1, 0, 0)).decode()
    codes = {
        bytes.fromhex(value).decode("utf-16-be"): code
        for code, value in re.findall(
            r"<([0-9a-f]{4})> <([0-9a-f]+)>", writer.character_map().decode()
        )
    }
    assert stream.index(codes["1"] + codes["2"]) < stream.index(codes["ב"] + codes["א"])


def test_forbidden_characters_are_replaced() -> None:
    writer = InvisibleText()
    writer.stream(PageText(9, 9, 0, ((("a\x00\ud800", (0, 0, 9, 9)),),)), (1, 0, 0, 1, 0, 0))
    assert "<fffd>" in writer.character_map().decode()


def test_a_page_survives_json() -> None:
    placed = (PlacedLine(1, (PlacedWord("a", (1, 2, 3, 4), 99),)),)
    text = PageText.of(placed, (10, 20), 90)
    assert PageText.parse(json.loads(json.dumps(text.as_list()))) == text
