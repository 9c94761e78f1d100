"""The memory file for pixels cannot be used against the process that reads it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops

from airflow_deepseek_ocr.ocr.rendering.pixel_file import PixelFile


@pytest.fixture
def pixels() -> Iterator[PixelFile]:
    made = PixelFile()
    yield made
    made.close()


def test_an_image_passes_and_the_memory_of_a_large_one_is_released(pixels: PixelFile) -> None:
    for size in ((300, 200), (30, 20), (3000, 2000), (301, 201)):
        image = Image.effect_noise(size, 80).convert("RGB")
        os.pwrite(pixels.descriptor, image.tobytes(), 0)
        taken = pixels.take(size)
        assert taken is not None
        assert ImageChops.difference(taken, image).getbbox() is None
        kept = os.fstat(pixels.descriptor).st_blocks * 512
        assert kept < (4096 if size == (3000, 2000) else 3 * 301 * 201 + 4096)


def test_fewer_pixels_than_announced_are_noticed(pixels: PixelFile) -> None:
    os.pwrite(pixels.descriptor, b"\0" * (3 * 10 * 10 - 1), 0)
    assert pixels.take((10, 10)) is None
    assert pixels.take((3, 3)) is not None


def test_it_cannot_be_truncated_or_sealed(pixels: PixelFile) -> None:
    os.ftruncate(pixels.descriptor, 3000)
    with pytest.raises(PermissionError):
        os.ftruncate(pixels.descriptor, 2999)
    with pytest.raises(PermissionError):
        fcntl.fcntl(pixels.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    seals = fcntl.fcntl(pixels.descriptor, fcntl.F_GET_SEALS)
    assert seals == fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
