"""Resolution modes: tiles and vision tokens."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.resolution import Resolution, Tiling, closest_grid

TILING = Tiling(640, most=9)
LINES = Resolution("lines", 1024, TILING, row_ends=True)
PLAIN = Resolution("plain", 1024, Tiling(768, most=6))


def test_a_view_has_a_token_for_each_square_and_a_separator() -> None:
    assert Resolution("view", 768).vision_tokens() == 12 * 12 + 1
    assert Resolution("view", 768, row_ends=True).vision_tokens() == 12 * 13 + 1


def test_rows_end_at_the_right_edge_of_all_tiles() -> None:
    assert LINES.vision_tokens((2, 1)) == 273 + 10 * 21
    assert PLAIN.vision_tokens((2, 1)) == 257 + 2 * 144


def test_the_most_tokens_are_those_of_a_column_of_tiles() -> None:
    assert LINES.most_vision_tokens == LINES.vision_tokens((1, 9)) == 273 + 9 * 10 * 11
    assert PLAIN.most_vision_tokens == PLAIN.vision_tokens((3, 2))
    assert Resolution("view", 512).most_vision_tokens == 65


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((640, 640), (1, 1)),
        ((641, 640), (2, 2)),
        ((1240, 1754), (2, 3)),
        ((2000, 1000), (4, 2)),
        ((700, 7000), (1, 9)),
    ],
)
def test_grids(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert LINES.grid(*size) == grid
    assert Resolution("view", 1024).grid(*size) == (1, 1)


def test_of_two_grids_that_are_as_close_the_tiles_size_decides() -> None:
    assert closest_grid(1410, 564, Tiling(640, most=6)) == (3, 1)
    assert closest_grid(1410, 564, Tiling(768, most=6)) == (2, 1)


def test_the_number_of_tiles_is_limited() -> None:
    columns, rows = LINES.grid(1240, 1754, max_tiles=4)
    assert 2 <= columns * rows <= 4
    assert PLAIN.grid(700, 7000, max_tiles=9) == (1, 6)


@pytest.mark.parametrize(
    ("name", "size", "scale"),
    [
        *(("small", (1654, 2339), 640 / 2339), ("small", (2339, 1654), 640 / 2339)),
        *(("base", (1654, 2339), 1024 / 2339), ("base", (2339, 1654), 1024 / 2339)),
        *(("gundam", (1654, 2339), 2 * 640 / 1654), ("gundam", (2339, 1654), 2 * 640 / 1654)),
        ("gundam", (600, 500), 1024 / 600),
        *(("small", (3000, 300), 640 / 3000), ("gundam", (3000, 300), 9 * 640 / 3000)),
    ],
)
def test_print_on_a_page_has_this_size_in_a_mode(
    name: str, size: tuple[int, int], scale: float
) -> None:
    assert DEEPSEEK_OCR.resolution(name).print_scale(*size) == pytest.approx(scale)
