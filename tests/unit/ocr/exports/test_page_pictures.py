"""Pictures of pages as WebP."""

from __future__ import annotations

import io

from PIL import Image

from airflow_deepseek_ocr.ocr.exports.page_pictures import (
    encode_webp,
    figure_pictures,
    overlay_picture,
    page_picture,
)
from tests.support.exported import page, region


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=["WEBP"])


def test_the_page_and_its_figures() -> None:
    image = Image.new("RGB", (400, 300), "white")
    image.paste("red", (40, 160, 200, 280))
    shown = page(2, region(1, "a", (0, 0, 9, 9)), region(2, "", (40, 160, 200, 280), label="image"))
    whole = page_picture(shown, image)
    assert (whole.name, whole.page_number, whole.media_type) == (
        "page-0002.webp",
        2,
        "image/webp",
    )
    assert opened(whole.content).size == (400, 300)
    (figure,) = figure_pictures(shown, image)
    assert figure.name == "figures/p0002-2.webp"
    cut = opened(figure.content).convert("RGB")
    assert cut.size == (160, 120)
    red, green, _ = cut.getpixel((80, 60))  # type: ignore[misc]
    assert red > 200
    assert green < 60


def test_the_overlay_shows_boxes_of_rejected_pages_too() -> None:
    image = Image.new("RGB", (400, 300), "white")
    rejected = page(1, region(1, "a", (50, 50, 350, 250)), status="failed")
    drawn = opened(overlay_picture(rejected, image).content).convert("L")
    assert min(drawn.getpixel((x, 150)) for x in range(45, 56)) < 200  # type: ignore[type-var]


def test_large_pictures_are_scaled_down_and_flat_boxes_have_a_pixel() -> None:
    assert max(opened(encode_webp(Image.new("L", (20_000, 10)))).size) == 4096
    line = page(1, region(1, "", (5, 7, 5, 7), label="image"))
    (figure,) = figure_pictures(line, Image.new("RGB", (10, 10)))
    assert opened(figure.content).size == (1, 1)
