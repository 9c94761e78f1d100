"""Pages without color as one channel."""

from __future__ import annotations

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.channels import drop_color


def test_a_grey_page_is_one_channel_of_the_same_pixels() -> None:
    grey = Image.effect_noise((150, 250), 90)
    dropped = drop_color(grey.convert("RGB"))
    assert (dropped.mode, dropped.tobytes()) == ("L", grey.tobytes())


@pytest.mark.parametrize("pixel", [(255, 254, 255), (255, 255, 254), (254, 255, 255)])
def test_one_coloured_pixel_keeps_all_channels(pixel: tuple[int, int, int]) -> None:
    image = Image.new("RGB", (20, 20), "white")
    image.putpixel((3, 4), pixel)
    assert drop_color(image) is image


@pytest.mark.parametrize("mode", ["L", "1", "RGBA", "CMYK"])
def test_other_modes_are_left_alone(mode: str) -> None:
    image = Image.new(mode, (20, 20))
    assert drop_color(image) is image


def test_one_pixel_with_color_between_those_of_the_sample_is_found() -> None:
    image = Image.new("RGB", (1000, 1000), "white")
    image.putpixel((1, 1), (255, 255, 254))
    assert drop_color(image) is image


def test_color_everywhere_is_found() -> None:
    image = Image.new("RGB", (1000, 1000), (250, 247, 240))
    assert drop_color(image) is image
