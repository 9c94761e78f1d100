"""Views and tiles of page images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import (
    PADDING,
    PIXEL_VALUES,
    prepare,
)
from airflow_deepseek_ocr.ocr.resolution import RESOLUTIONS


def test_pixel_values_run_from_minus_one_to_one() -> None:
    assert PIXEL_VALUES.dtype == np.float32
    assert (PIXEL_VALUES[0], PIXEL_VALUES[255]) == (-1, 1)
    assert np.all(np.diff(PIXEL_VALUES) > 0)


def test_the_view_of_a_mode_with_padding_keeps_the_aspect_ratio() -> None:
    views = prepare(Image.new("L", (400, 200), 255), RESOLUTIONS["base"])
    assert views.view.shape == (1024, 1024, 3)
    assert tuple(views.view[0, 0]) == tuple(views.view[-1, -1]) == PADDING
    assert tuple(views.view[512, 512]) == (255, 255, 255)
    assert (len(views.tiles), views.grid) == (0, (1, 1))


@pytest.mark.parametrize("mode", RESOLUTIONS)
def test_vision_tokens_are_those_of_the_mode(mode: str) -> None:
    resolution = RESOLUTIONS[mode]
    views = prepare(Image.new("RGB", (1300, 900)), resolution)
    assert views.vision_tokens == resolution.vision_tokens(resolution.grid(1300, 900))


def test_tiles_are_cut_row_by_row() -> None:
    image = Image.new("RGB", (1280, 640), "white")
    image.paste((255, 0, 0), (0, 0, 640, 640))
    views = prepare(image, RESOLUTIONS["gundam"])
    columns, rows = views.grid
    assert len(views.tiles) == columns * rows > 1
    assert tuple(views.tiles[0, 5, 5]) == (255, 0, 0)
    assert tuple(views.tiles[columns - 1, 5, -5]) == (255, 255, 255)
