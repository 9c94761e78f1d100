"""Pages turned by multiples of 90 degrees: image, size and boxes."""

from __future__ import annotations

import pytest
from PIL import Image, ImageOps

from airflow_deepseek_ocr.ocr.page_turns import turn, turn_box, turn_size, upright_box

SIZE, BOX = (400, 300), (10, 20, 110, 60)
ROTATIONS = pytest.mark.parametrize("rotation", [0, 90, 180, 270])


@ROTATIONS
def test_image_size_and_box_are_turned_alike(rotation: int) -> None:
    page = Image.new("L", SIZE, 255)
    page.paste(0, BOX)
    turned = turn(page, rotation)
    assert turned.size == turn_size(SIZE, rotation)
    assert ImageOps.invert(turned).getbbox() == turn_box(BOX, rotation, SIZE)


def test_turns_are_clockwise() -> None:
    assert turn_box((0, 0, 1, 1), 90, SIZE) == (299, 0, 300, 1)


@ROTATIONS
def test_boxes_are_turned_there_and_back(rotation: int) -> None:
    assert upright_box(turn_box(BOX, rotation, SIZE), rotation, SIZE) == BOX
