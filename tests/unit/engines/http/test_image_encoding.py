"""Images as data URLs: the pixels that come out are those that went in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PIL import Image, ImageDraw

from airflow_deepseek_ocr.engines.http.image_encoding import data_url
from airflow_deepseek_ocr.model_server.request_parsing import decode_image, page_content

SIZE = (61, 47)  # rows of a BMP are padded to four bytes


def colored() -> Image.Image:
    return Image.merge("RGB", [Image.effect_noise(SIZE, 90) for _ in range(3)])


def gray() -> Image.Image:
    return Image.effect_noise(SIZE, 90).convert("RGB")


def gray_but_for_a_pixel() -> Image.Image:
    image = gray()
    image.putpixel((60, 46), (7, 7, 8))
    return image


def rendered() -> Image.Image:
    image = Image.new("RGB", (600, 800), "white")
    for line in range(20):
        ImageDraw.Draw(image).text((20, 20 + 38 * line), "Printed by a program. " * 3, "black")
    return image


@pytest.mark.parametrize("make", [colored, gray, gray_but_for_a_pixel, rendered])
@pytest.mark.parametrize("local", [True, False])
def test_no_pixel_is_changed(make: Callable[[], Image.Image], local: bool) -> None:
    image = make()
    got = decode_image(page_content(data_url(image, local=local), None))
    assert got.mode == ("L" if make in (gray, rendered) else "RGB")
    got = got.convert("RGB")
    assert (got.size, got.tobytes()) == (image.size, image.tobytes())


def test_a_page_without_color_takes_a_third() -> None:
    plain, colour = (len(data_url(make(), local=True)) for make in (gray, colored))
    assert plain < colour / 2


def test_a_raw_page_beyond_the_servers_limit_is_compressed() -> None:
    assert data_url(gray(), local=True).startswith("data:image/bmp;")
    assert data_url(gray(), local=True, limit=3000).startswith("data:image/png;")


def test_on_the_same_host_only_a_page_that_shrinks_is_compressed() -> None:
    page = rendered()
    url = data_url(page, local=True)
    assert url.startswith("data:image/png;")
    assert len(url) < page.width * page.height / 4
    scan = Image.effect_noise(page.size, 20).convert("RGB")
    assert data_url(scan, local=True).startswith("data:image/bmp;")
    assert data_url(scan.crop((0, 0, 1, 1)), local=True)
