"""Pixels that are not square, in each format that can say so."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, TiffImagePlugin

from airflow_deepseek_ocr.ocr.documents.open import open_document
from tests.corpus.documents.raw_images import encoded, png, png_chunk
from tests.support.fixtures.made_documents import write


def _page(tmp_path: Path, name: str, content: bytes) -> Image.Image:
    with open_document(write(tmp_path, name, content)) as document:
        return document.page(1).image


def _tiff(
    size: tuple[int, int], across: Any, down: Any, unit: int = 2, more: dict[int, int] | None = None
) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in ((282, across), (283, down), (296, unit), *(more or {}).items()):
        if value is not None:
            tags[tag] = value
    return encoded(Image.new("1", size, 1), "TIFF", tiffinfo=tags)


def _png(size: tuple[int, int], across: int, down: int, unit: int) -> bytes:
    density = across.to_bytes(4, "big") + down.to_bytes(4, "big") + bytes([unit])
    pixels = zlib.compress((b"\0" + b"\xff" * size[0]) * size[1])
    return png(*size, 8, 0, pixels, png_chunk(b"pHYs", density))


def _jpeg(size: tuple[int, int], across: int, down: int, unit: int) -> bytes:
    content = bytearray(encoded(Image.new("L", size, 255), "JPEG"))
    assert content[6:11] == b"JFIF\0"
    content[13:18] = bytes([unit]) + across.to_bytes(2, "big") + down.to_bytes(2, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("across", "down", "unit", "size"),
    [
        (204.0, 98.0, 2, (408, 408)),
        (204.0, 391.0, 2, (782, 196)),
        (80.31, 38.58, 3, (408, 408)),
        (2.0, 1.0, 1, (408, 392)),
        (1.0, 4.0, 1, (1632, 196)),
        (300.0, 300.0, 2, (408, 196)),
        (300.0, 298.0, 2, (408, 196)),
        (300.0, 1.0, 2, (408, 196)),
        (0.0, 98.0, 2, (408, 196)),
    ],
)
def test_tiff(tmp_path: Path, across: float, down: float, unit: int, size: tuple[int, int]) -> None:
    page = _page(tmp_path, "a.tiff", _tiff((408, 196), across, down, unit))
    assert page.size == pytest.approx(size, abs=1)
    assert page.getpixel((page.width // 2, page.height // 2)) == (255, 255, 255)


def test_a_fine_fax_is_four_per_cent_higher(tmp_path: Path) -> None:
    assert _page(tmp_path, "a.tiff", _tiff((400, 980), 204.0, 196.0)).size == (400, 1020)


@pytest.mark.parametrize(("across", "down"), [(204.0, None), (None, 98.0)])
def test_one_density_alone_says_nothing(tmp_path: Path, across: Any, down: Any) -> None:
    assert _page(tmp_path, "a.tiff", _tiff((40, 20), across, down)).size == (40, 20)


@pytest.mark.parametrize("make", [_png, _jpeg])
@pytest.mark.parametrize(
    ("across", "down", "unit", "size"),
    [
        (8031, 3858, 1, (204, 204)),
        (2, 1, 0, (204, 196)),
        (1, 2, 0, (408, 98)),
        (3780, 3779, 1, (204, 98)),
        (0, 2, 0, (204, 98)),
        (1, 300, 1, (204, 98)),
    ],
)
def test_png_and_jpeg(
    tmp_path: Path, make: Any, across: int, down: int, unit: int, size: tuple[int, int]
) -> None:
    assert _page(tmp_path, "a", make((204, 98), across, down, unit)).size == size


def test_exif_counts_where_the_format_has_nothing_of_its_own(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[282], exif[283] = TiffImagePlugin.IFDRational(204), TiffImagePlugin.IFDRational(102)
    content = encoded(Image.new("RGB", (40, 20)), "WEBP", exif=exif)
    assert _page(tmp_path, "a.webp", content).size == (40, 40)


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 20)), (3, (40, 20)), (6, (20, 40))])
@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_densities_are_those_of_the_stored_rows_and_columns(
    tmp_path: Path, kind: str, orientation: int, size: tuple[int, int]
) -> None:
    if kind == "TIFF":
        content = _tiff((40, 10), 200.0, 100.0, more={274: orientation})
    else:
        exif = Image.Exif()
        exif[274] = orientation
        image = Image.new("L", (40, 10))
        content = encoded(image, "PNG", dpi=(200, 100), exif=exif)
    with open_document(write(tmp_path, "a", content)) as document:
        assert [document.page(1).image.size for _ in range(2)] == [size] * 2


def test_a_large_image_is_reduced_instead(tmp_path: Path) -> None:
    page = _page(tmp_path, "a.png", _png((6000, 4000), 200, 100, 0))
    assert page.size == (3000, 4000)
