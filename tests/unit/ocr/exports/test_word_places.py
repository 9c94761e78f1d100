"""Places of words on the print of a page."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw, ImageFont

from airflow_deepseek_ocr.ocr.confidence.words import find_words
from airflow_deepseek_ocr.ocr.exports.word_places import PlacedWord, is_right_to_left, place_words
from airflow_deepseek_ocr.ocr.page_turns import turn, upright_box
from tests.support.exported import page, region

FONT = ImageFont.load_default(size=24)
WORDS = [["Dear", "customer,"], ["we", "have", "found", "your", "order."]]


def printed() -> tuple[Image.Image, list[PlacedWord]]:
    """Return a page with two lines, and the true boxes of its words."""
    image = Image.new("RGB", (400, 300), "white")
    draw, words = ImageDraw.Draw(image), []
    for row, line in enumerate(WORDS):
        left = 30.0
        for word in line:
            place = (left, 60 + 40 * row)
            draw.text(place, word, fill="black", font=FONT)
            x1, y1, x2, y2 = draw.textbbox(place, word, font=FONT)
            words.append(PlacedWord(word, (round(x1), round(y1), round(x2), round(y2))))
            left = x2 + 9
    return image, words


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_words_are_found_on_the_print_also_of_a_turned_page(rotation: int) -> None:
    image, expected = printed()
    # The page as it is; turned clockwise by `rotation`, it is upright.
    as_it_is = turn(image, -rotation % 360)
    box = upright_box((20, 50, 390, 140), rotation, as_it_is.size)
    text = "Dear customer, we have\nfound your order."  # other lines than those of the page
    found = place_words(
        page(
            1,
            region(1, text, box),
            width=as_it_is.width,
            height=as_it_is.height,
            rotation=rotation,
        ),
        as_it_is,
    )
    assert [[word.text for word in line.words] for line in found] == WORDS
    placed = [word for line in found for word in line.words]
    for word, true in zip(placed, expected, strict=True):
        assert abs(word.box[0] - true.box[0]) <= 2
        assert abs(word.box[2] - true.box[2]) <= 2
        assert word.box[1] - 4 <= (true.box[1] + true.box[3]) / 2 <= word.box[3] + 4


def test_without_print_lines_are_equal_and_words_as_wide_as_their_characters() -> None:
    lines = place_words(page(1, region(1, "ab cdef\nxy", (0, 0, 70, 20))), None)
    assert [line.box for line in lines] == [(0, 0, 70, 10), (0, 10, 70, 20)]
    assert [word.box[0::2] for word in lines[0].words] == [(0, 20), (30, 70)]


def test_a_line_without_spaces_is_one_word_and_has_its_lowest_confidence() -> None:
    chinese = region(1, "价格说明", (0, 0, 80, 20), word_confidences=(99, 40, 98, 97))
    (line,) = place_words(page(1, chinese), None)
    assert line.words == (PlacedWord("价格说明", (0, 0, 80, 20), 40),)


def test_words_have_their_confidence_without_marks_tags_and_entities() -> None:
    text = "# **Sum** &amp; total\n\n<table><tr><td>1,50</td><td>x</td></tr></table>"
    percents = {"Sum": 90, "&amp;": 80, "total": 70, "1,50": 60, "x": 50}
    words = [word.text for word in find_words(text)]
    marked = region(1, text, (0, 0, 90, 90), word_confidences=tuple(map(percents.get, words)))
    placed = [word for line in place_words(page(1, marked), None) for word in line.words]
    found = {word.text: word.confidence for word in placed}
    assert found == {"Sum": 90, "&": None, "total": 70, "1,50": 60, "x": 50} | {
        "&": found["&"]  # an entity is another text
    }


def test_confidences_that_are_not_one_for_each_word_are_left_out() -> None:
    (line,) = place_words(page(1, region(1, "a b", (0, 0, 80, 20), word_confidences=(99,))), None)
    assert [word.confidence for word in line.words] == [None, None]


def test_words_from_right_to_left_begin_at_the_right() -> None:
    (line,) = place_words(page(1, region(1, "שלום עולם", (0, 0, 90, 20))), None)
    assert line.words[0].text == "שלום"
    assert line.words[0].box[0] > line.words[1].box[0]
    assert is_right_to_left("שלום 12")
    assert not is_right_to_left("12")


def test_figures_and_regions_without_place_have_no_words() -> None:
    figure = region(1, "a caption", (0, 0, 9, 9), label="image")
    assert place_words(page(1, figure, region(2, "text"), region(3, "x", (5, 5, 5, 9))), None) == ()


def test_a_page_with_too_many_words_ends_in_time() -> None:
    huge = region(1, "a " * 30_000, (0, 0, 390, 290))
    assert place_words(page(1, region(2, "b", (0, 0, 9, 9)), huge), printed()[0])[0].text == "b"
