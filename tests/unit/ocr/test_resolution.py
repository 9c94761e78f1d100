"""Resolution modes: tiles and vision tokens."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.resolution import (
    MOST_VISION_TOKENS,
    RESOLUTIONS,
    closest_grid,
    get_resolution,
)


@pytest.mark.parametrize(
    ("mode", "tokens"),
    [("tiny", 73), ("small", 111), ("base", 273), ("large", 421), ("gundam", 273)],
)
def test_vision_tokens_of_a_page_without_tiles(mode: str, tokens: int) -> None:
    assert get_resolution(mode).vision_tokens() == tokens


def test_vision_tokens_of_tiles() -> None:
    gundam = RESOLUTIONS["gundam"]
    assert gundam.vision_tokens((2, 1)) == 273 + 10 * 21
    assert gundam.vision_tokens((1, 9)) == MOST_VISION_TOKENS == 273 + 9 * 10 * 11


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((640, 640), (1, 1)),
        ((641, 640), (1, 1)),
        ((1240, 1754), (2, 3)),
        ((2000, 1000), (4, 2)),
        ((700, 7000), (1, 9)),
    ],
)
def test_grids(size: tuple[int, int], grid: tuple[int, int]) -> None:
    found = RESOLUTIONS["gundam"].grid(*size)
    assert found == (closest_grid(*size) if size == (641, 640) else grid)
    assert RESOLUTIONS["base"].grid(*size) == (1, 1)


def test_the_number_of_tiles_is_limited() -> None:
    columns, rows = closest_grid(1240, 1754, max_tiles=4)
    assert 2 <= columns * rows <= 4


@pytest.mark.parametrize("name", ["huge", "auto", "", None, ["base"]])
def test_modes_that_do_not_exist(name: str) -> None:
    with pytest.raises(ConfigurationError, match="tiny, small, base, large, gundam") as caught:
        get_resolution(name)
    assert caught.value.code is ErrorCode.UNKNOWN_RESOLUTION
