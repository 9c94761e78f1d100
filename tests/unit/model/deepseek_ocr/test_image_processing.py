"""Views and tiles of page images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from airflow_deepseek_ocr.model.deepseek_ocr.image_processing import (
    PADDING,
    PIXEL_VALUES,
    prepare,
)
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR


def test_pixel_values_run_from_minus_one_to_one() -> None:
    assert PIXEL_VALUES.dtype == np.float32
    assert (PIXEL_VALUES[0], PIXEL_VALUES[255]) == (-1, 1)
    assert np.all(np.diff(PIXEL_VALUES) > 0)


def test_the_view_of_a_mode_with_padding_keeps_the_aspect_ratio() -> None:
    views = prepare(Image.new("L", (400, 200), 255), DEEPSEEK_OCR.resolutions["base"])
    assert views.view.shape == (1024, 1024, 3)
    assert tuple(views.view[0, 0]) == tuple(views.view[-1, -1]) == (PADDING,) * 3
    assert tuple(views.view[512, 512]) == (255, 255, 255)
    assert (len(views.tiles), views.grid) == (0, (1, 1))


@pytest.mark.parametrize("mode", DEEPSEEK_OCR.resolutions)
def test_vision_tokens_are_those_of_the_mode(mode: str) -> None:
    resolution = DEEPSEEK_OCR.resolutions[mode]
    views = prepare(Image.new("RGB", (1300, 900)), resolution)
    assert views.vision_tokens == resolution.vision_tokens(resolution.grid(1300, 900))


def test_tiles_are_cut_row_by_row() -> None:
    image = Image.new("RGB", (1280, 640), "white")
    image.paste((255, 0, 0), (0, 0, 640, 640))
    views = prepare(image, DEEPSEEK_OCR.resolutions["gundam"])
    columns, rows = views.grid
    assert len(views.tiles) == columns * rows > 1
    assert tuple(views.tiles[0, 5, 5]) == (255, 0, 0)
    assert tuple(views.tiles[columns - 1, 5, -5]) == (255, 255, 255)


@pytest.mark.parametrize("size", [(1240, 1754), (2480, 1200), (700, 500), (640, 640), (3000, 300)])
@pytest.mark.parametrize("mode", DEEPSEEK_OCR.resolutions)
def test_a_page_without_color_has_the_pixels_of_three_channels(
    mode: str, size: tuple[int, int]
) -> None:
    """The published code resamples three channels; a pixel of another color makes this one do so too."""
    grey = Image.effect_noise(size, 120)
    views = prepare(grey, DEEPSEEK_OCR.resolutions[mode])
    coloured = grey.convert("RGB")
    size_of_view, white = DEEPSEEK_OCR.resolutions[mode].size, (255, 255, 255)
    expected = (
        ImageOps.pad(coloured, (size_of_view, size_of_view), color=(PADDING,) * 3)
        if DEEPSEEK_OCR.resolutions[mode].keep_aspect
        else coloured.resize((size_of_view, size_of_view))
    )
    assert np.array_equal(views.view, np.asarray(expected))
    columns, rows = views.grid
    if views.grid != (1, 1):
        tiled = np.asarray(coloured.resize((columns * 640, rows * 640)))
        for number, tile in enumerate(views.tiles):
            top, left = 640 * (number // columns), 640 * (number % columns)
            assert np.array_equal(tile, tiled[top : top + 640, left : left + 640])
    coloured.putpixel((0, 0), white)
    coloured.putpixel((size[0] - 1, 0), (255, 0, 0))
    assert np.array_equal(
        prepare(coloured, DEEPSEEK_OCR.resolutions[mode]).view[-1, -1], views.view[-1, -1]
    )


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_any_mode_of_image_is_read_as_its_rgb(mode: str) -> None:
    image = Image.effect_noise((900, 700), 120).convert(mode)
    views, expected = (
        prepare(each, DEEPSEEK_OCR.resolutions["gundam"]) for each in (image, image.convert("RGB"))
    )
    assert np.array_equal(views.view, expected.view)
    assert np.array_equal(views.tiles, expected.tiles)
