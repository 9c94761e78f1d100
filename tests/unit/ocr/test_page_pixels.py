"""Pixels in the form of a BMP file: the same file as Pillow's, and the same image again."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.page_pixels import (
    decoded,
    file_bytes,
    memory_bytes,
    row_bytes,
)
from tests.support.fixtures.page_pixels import pixels_of


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(61, 47), (64, 48), (1, 1), (3, 40)])
def test_it_is_the_file_that_pillow_writes(mode: str, size: tuple[int, int]) -> None:
    image = Image.merge("RGB", [Image.effect_noise(size, 90) for _ in range(3)]).convert(mode)
    pixels, file = pixels_of(image), io.BytesIO()
    image.save(file, "BMP")
    assert pixels.bmp_header() + pixels.rows == file.getvalue()
    assert file_bytes(size, len(mode)) == len(file.getvalue())
    assert (pixels.decode().mode, pixels.decode().tobytes()) == (mode, image.tobytes())


def test_rows_are_padded_to_four_bytes() -> None:
    assert [row_bytes(width, 3) for width in (1, 2, 4, 5)] == [4, 8, 12, 16]
    assert [row_bytes(width, 1) for width in (1, 4, 5)] == [4, 4, 8]


def test_both_kinds_of_images_are_decoded_and_weighed() -> None:
    image = Image.new("RGB", (20, 10), "red")
    assert decoded(image) is image
    assert decoded(pixels_of(image)).tobytes() == image.tobytes()
    assert (memory_bytes(image), memory_bytes(pixels_of(image))) == (800, 600)
