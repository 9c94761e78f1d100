"""Depths, colour models and transparency values of PNG, JPEG and TIFF as RGB of 8 bits."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.raster.pixels import to_rgb
from airflow_deepseek_ocr.ocr.documents.raster.sample_range import StoredSamples
from tests.corpus.documents.raw_images import encoded, png, png_chunk
from tests.corpus.documents.raw_tiff import Directory, tiff
from tests.support.fixtures.made_documents import write

_GREY = np.array([[0, 51, 102, 255]])
_FACTORS = pytest.mark.parametrize("factor", [1, 4095 / 255, 257], ids=["8", "12", "16"])


def _pixels(tmp_path: Path, content: bytes) -> list[Any]:
    with open_document(write(tmp_path, "a", content)) as document:
        image = document.page(1).image
    return [image.getpixel((x, 0)) for x in range(4)]


def _grey(*shades: int) -> list[tuple[int, int, int]]:
    return [(shade, shade, shade) for shade in shades]


def _deep_png(colour: int, values: np.ndarray, *chunks: bytes) -> bytes:
    rows = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in values))
    return png(values.shape[1], values.shape[0], 16, colour, rows, b"".join(chunks))


def _clear(*values: int) -> bytes:
    return png_chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


@_FACTORS
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits(tmp_path: Path, channels: int, factor: float) -> None:
    grey = _GREY * factor
    alpha = np.full_like(grey, 65535)
    planes = {
        1: [grey],
        2: [grey, alpha],
        3: [grey] * 3,
        4: [grey, grey, grey, alpha],
    }[channels]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    assert _pixels(tmp_path, _deep_png(colour, np.stack(planes, 2))) == _grey(0, 51, 102, 255)


def test_a_page_of_12_bits_is_the_same_when_it_is_rendered_again(tmp_path: Path) -> None:
    content = _deep_png(2, np.stack([_GREY * 4095 / 255] * 3, 2))
    with open_document(write(tmp_path, "a", content)) as document:
        first, again = (document.page(1).image.tobytes() for _ in range(2))
    assert again == first == bytes(shade for grey in _grey(0, 51, 102, 255) for shade in grey)


@_FACTORS
def test_transparent_values_of_16_bits(tmp_path: Path, factor: float) -> None:
    grey, value = _GREY * factor, int(51 * factor)
    assert _pixels(tmp_path, _deep_png(0, grey, _clear(value))) == _grey(0, 255, 102, 255)
    colours = np.stack([grey] * 3, 2)
    assert _pixels(tmp_path, _deep_png(2, colours, _clear(value, value, value))) == _grey(
        0, 255, 102, 255
    )


@_FACTORS
def test_significant_bits_change_nothing(tmp_path: Path, factor: float) -> None:
    content = _deep_png(0, _GREY * factor, png_chunk(b"sBIT", b"\x0c"))
    assert _pixels(tmp_path, content) == _grey(0, 51, 102, 255)


@pytest.mark.parametrize(("depth", "clear", "index"), [(1, 1, 3), (2, 1, 2), (4, 6, 2), (8, 51, 1)])
def test_transparent_values_of_few_bits(tmp_path: Path, depth: int, clear: int, index: int) -> None:
    values = _GREY[0] * (2**depth - 1) // 255
    shades = [int(value) * 255 // (2**depth - 1) for value in values]
    bits = "".join(f"{value:0{depth}b}" for value in values).ljust(8, "0")
    row = int(bits, 2).to_bytes(len(bits) // 8, "big")
    content = png(4, 1, depth, 0, zlib.compress(b"\0" + row), _clear(clear))
    shades[index] = 255
    assert _pixels(tmp_path, content) == _grey(*shades)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("deflated", [False, True])
@_FACTORS
def test_tiff_of_16_bit_colours(tmp_path: Path, factor: float, deflated: bool, order: str) -> None:
    colours = np.stack([_GREY, _GREY[:, ::-1], _GREY], 2) * factor
    directory = Directory(values=colours.astype(np.uint16), photometric=2, deflated=deflated)
    assert _pixels(tmp_path, tiff(directory, order=order)) == [
        (0, 255, 0),
        (51, 102, 51),
        (102, 51, 102),
        (255, 0, 255),
    ]


@pytest.mark.parametrize("scale", [1, 257], ids=["8 bits", "16 bits"])
def test_tiff_colour_maps(tmp_path: Path, scale: int) -> None:
    colours = [shade * scale for shade in (0, 51, 102, 255)] + [0] * 252
    directory = Directory(
        values=np.arange(4, dtype=np.uint8)[None], photometric=3, tags={320: (3, colours * 3)}
    )
    assert _pixels(tmp_path, tiff(directory)) == _grey(0, 51, 102, 255)


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("depth", [1, 4, 8])
def test_both_directions_of_few_bits(tmp_path: Path, depth: int, photometric: int) -> None:
    values = np.array([[0, 2**depth - 1] * 4], np.uint8)
    bits = "".join(f"{value:0{depth}b}" for value in values[0])
    directory = Directory(
        values=values,
        bits=depth,
        photometric=photometric,
        data=int(bits, 2).to_bytes(depth, "big"),
    )
    black, white = _grey(0, 255)
    expected = [black, white] * 2 if photometric else [white, black] * 2
    assert _pixels(tmp_path, tiff(directory)) == expected


@pytest.mark.parametrize("amount", [0, 255])
def test_cmyk_jpegs_are_inverted_only_with_the_marker_of_adobe(tmp_path: Path, amount: int) -> None:
    content = encoded(Image.new("CMYK", (8, 8), (amount, amount, amount, amount)), "JPEG")
    marker = content.index(b"\xff\xee")
    end = marker + 2 + int.from_bytes(content[marker + 2 : marker + 4], "big")
    assert _pixels(tmp_path, content) == _grey(255 - amount) * 4
    # Without the marker the same numbers mean the opposite.
    assert _pixels(tmp_path, content[:marker] + content[end:]) == _grey(amount) * 4


def test_large_images_are_halved_in_bands_of_even_rows() -> None:
    image = Image.new("L", (8001, 5001), 255)
    image.paste(0, (0, 0, 4000, 5001))
    halved = to_rgb(image, StoredSamples())
    assert halved.size == (4001, 2501)
    assert halved.getpixel((1999, 2500)) == (0, 0, 0)
    assert halved.getpixel((4000, 0)) == (255, 255, 255)


def test_colours_of_8_bits_are_not_copied() -> None:
    decoded = Image.effect_noise((90, 70), 80).convert("RGB")
    assert to_rgb(decoded, StoredSamples()) is decoded
