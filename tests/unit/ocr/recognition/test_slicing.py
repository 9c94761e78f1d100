"""Pages cut into slices, and the slices' texts joined."""

from __future__ import annotations

from itertools import pairwise

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.markup.box_rewriting import EditedText
from airflow_deepseek_ocr.ocr.recognition.slicing import (
    SEPARATOR,
    PageSlice,
    can_be_cut,
    cut_slices,
    join_slices,
)


def slices_without_image(*edges: float) -> list[PageSlice]:
    image = Image.new("L", (1, 1))
    pairs = pairwise(edges)
    return [PageSlice(image=image, top=top, height=bottom - top) for top, bottom in pairs]


def test_pages_with_few_rows_have_fewer_slices() -> None:
    assert len(cut_slices(Image.new("RGB", (50, 1)), 4)) == 1
    assert len(cut_slices(Image.new("RGB", (50, 3)), 4)) == 3


@pytest.mark.parametrize("count", [1, 2, 4])
def test_slices_together_are_the_page(count: int) -> None:
    page = Image.effect_noise((300, 90), 90)
    slices = cut_slices(page, count)
    assert len(slices) == count
    assert b"".join(each.image.tobytes() for each in slices) == page.tobytes()
    assert slices[0].top == 0
    assert sum(each.height for each in slices) == pytest.approx(1)


def test_a_cut_goes_to_the_widest_gap_near_the_even_position() -> None:
    page = Image.effect_noise((300, 100), 90)
    page.paste(255, (0, 40, 300, 46))
    page.paste(255, (0, 52, 300, 54))
    upper, lower = cut_slices(page, 2)
    assert (upper.image.height, lower.image.height) == (43, 57)


def test_boxes_are_converted_to_the_page() -> None:
    text = "<|ref|>a<|/ref|><|det|>[[10, 0, 20, 999], [1, 2, 3, 4]]<|/det|>"
    joined = join_slices([text, text], slices_without_image(0, 0.25, 1))
    upper, lower = joined.text.split("\n")
    assert upper == "<|ref|>a<|/ref|><|det|>[[10, 0, 20, 250], [1, 0, 3, 1]]<|/det|>"
    assert lower == "<|ref|>a<|/ref|><|det|>[[10, 250, 20, 999], [1, 251, 3, 253]]<|/det|>"


def test_text_outside_of_boxes_is_unchanged() -> None:
    two_slices = slices_without_image(0, 0.5, 1)
    assert join_slices(["a [1, 2, 3, 4]", "b"], two_slices).text == "a [1, 2, 3, 4]\nb"
    broken = "<|det|>[[1, 2, 3"
    assert join_slices([broken], two_slices[1:]) == EditedText(broken)


def test_edits_are_those_of_the_joined_texts() -> None:
    texts = ["one", "two <|det|>[[0, 999, 0, 999]]<|/det|>"]
    joined = join_slices(texts, slices_without_image(0, 0.5, 1))
    (edit,) = joined.edits
    assert SEPARATOR.join(texts)[edit.start : edit.end] == "[0, 999, 0, 999]"
    assert joined.text[edit.start : edit.start + edit.length] == "[0, 999, 0, 999]"


@pytest.mark.parametrize(
    ("height", "count", "expected"), [(3, 1, True), (16, 2, True), (15, 2, False), (3, 4, False)]
)
def test_pages_with_few_rows_are_not_cut(height: int, count: int, expected: bool) -> None:
    assert can_be_cut((100, height), count) is expected
    if expected:
        assert len(cut_slices(Image.new("RGB", (100, height)), count)) == count
