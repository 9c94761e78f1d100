"""Pictures of pages as WebP."""

from __future__ import annotations

import io
from dataclasses import replace

from PIL import Image

from airflow_deepseek_ocr.ocr.exports.page_pictures import (
    encode_webp,
    figure_pictures,
    overlay_picture,
    page_picture,
    scaled_size,
)
from tests.support.exported import page, region


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=["WEBP"])


def test_the_page_and_its_figures() -> None:
    image = Image.new("RGB", (400, 300), "white")
    image.paste("red", (40, 160, 200, 280))
    shown = page(2, region(1, "a", (0, 0, 9, 9)), region(2, "", (40, 160, 200, 280), label="image"))
    whole = page_picture(shown, encode_webp(image, scaled_size(image.size)))
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


def test_the_overlay_shades_regions_with_uncertain_words() -> None:
    image = Image.new("RGB", (400, 300), "white")
    regions = [region(1, "a", (10, 50, 150, 250)), region(2, "b", (200, 50, 350, 250))]
    words = ({"word": "b", "region": 1},)
    drawn = opened(
        overlay_picture(replace(page(1, *regions), uncertain_words=words), image).content
    )
    blues = [drawn.convert("RGB").getpixel((x, 150))[2] for x in (80, 275)]  # type: ignore[index]
    assert blues[0] > 240
    assert blues[1] < 120
    corrected = replace(regions[1], is_corrected=True)
    shown = replace(page(1, regions[0], corrected), uncertain_words=words)
    drawn = opened(overlay_picture(shown, image).content)
    assert drawn.convert("RGB").getpixel((275, 150))[2] > 240  # type: ignore[index]


def test_large_pictures_are_scaled_down_and_flat_boxes_have_a_pixel() -> None:
    assert scaled_size((20_000, 10), 4096) == (4096, 2)
    assert opened(encode_webp(Image.new("L", (20_000, 10)), (4096, 2))).size == (4096, 2)
    line = page(1, region(1, "", (5, 7, 5, 7), label="image"))
    (figure,) = figure_pictures(line, Image.new("RGB", (10, 10)))
    assert opened(figure.content).size == (1, 1)
