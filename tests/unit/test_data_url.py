"""Images as data URLs: the pixels that come out are those that went in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.data_url import data_url
from airflow_deepseek_ocr.engines.serve.requests import _image

SIZE = (61, 47)  # rows of a BMP are padded to four bytes


def coloured() -> Image.Image:
    return Image.merge("RGB", [Image.effect_noise(SIZE, 90) for _ in range(3)])


def gray() -> Image.Image:
    return Image.effect_noise(SIZE, 90).convert("RGB")


def gray_but_for_a_pixel() -> Image.Image:
    image = gray()
    image.putpixel((60, 46), (7, 7, 8))
    return image


@pytest.mark.parametrize("make", [coloured, gray, gray_but_for_a_pixel])
@pytest.mark.parametrize("local", [True, False])
def test_no_pixel_is_changed(make: Callable[[], Image.Image], local: bool) -> None:
    image = make()
    got = _image(data_url(image, local=local))
    assert got.mode == ("L" if make is gray else "RGB")
    got = got.convert("RGB")
    assert (got.size, got.tobytes()) == (SIZE, image.tobytes())


def test_a_page_without_colour_takes_a_third() -> None:
    plain, colour = (len(data_url(make(), local=True)) for make in (gray, coloured))
    assert plain < colour / 2


def test_what_the_server_does_not_take_as_it_is_is_compressed() -> None:
    white = Image.new("RGB", (1000, 1000), "white")
    assert data_url(white, local=True).startswith("data:image/bmp;")
    assert data_url(white, local=True, limit=1_000_000).startswith("data:image/png;")
