"""Page images that are kept for a retry."""

from __future__ import annotations

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.recognition.compressed_image import CompressedImage
from tests.support.fakes.scripted_engine import sheet


@pytest.mark.parametrize("colour", ["white", "red"])
def test_no_pixel_is_lost(colour: str) -> None:
    image = Image.new("RGB", (200, 300), colour)
    image.paste(Image.effect_noise((150, 250), 90), (20, 30))
    compressed = CompressedImage.compress(image)
    assert compressed.decompress().tobytes() == image.tobytes()
    assert compressed.mode == ("L" if colour == "white" else "RGB")
    assert compressed.size == (200, 300)


def test_a_page_of_text_takes_less_than_a_tenth() -> None:
    image = sheet()
    assert len(CompressedImage.compress(image).data) < len(image.tobytes()) / 10


def test_one_coloured_pixel_keeps_all_channels() -> None:
    image = Image.new("RGB", (20, 20), "white")
    image.putpixel((3, 4), (255, 254, 255))
    compressed = CompressedImage.compress(image)
    assert compressed.mode == "RGB"
    assert compressed.decompress().getpixel((3, 4)) == (255, 254, 255)
