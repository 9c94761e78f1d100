"""Black and white of samples of each depth, sign and direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.raster.sample_range import StoredSamples, find_range
from tests.corpus.documents.raw_tiff import Directory, tiff
from tests.support.fixtures.made_documents import write

_SHADES = np.array([0, 51, 102, 255]) / 255
_UNSIGNED, _SIGNED, _REAL = None, 2, 3


def _shades(tmp_path: Path, content: bytes, count: int = 4) -> list[int]:
    with open_document(write(tmp_path, "a.tif", content)) as document:
        image = document.page(1).image
    pixels = [image.getpixel((x, 0)) for x in range(count)]
    assert all(len(set(pixel)) == 1 for pixel in pixels)  # type: ignore[arg-type]
    return [pixel[0] for pixel in pixels]  # type: ignore[index]


def _twelve_bits(values: np.ndarray) -> bytes:
    """Return samples of 12 bits, two in three bytes."""
    first, second = values[:, ::2].astype(int), values[:, 1::2].astype(int)
    out = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=2)
    return out.astype(np.uint8).tobytes()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("min_is_white", [False, True])
@pytest.mark.parametrize(
    ("dtype", "black", "white", "sample_format"),
    [
        ("u2", 0, 255, _UNSIGNED),
        ("u2", 0, 1023, _UNSIGNED),
        ("u2", 0, 4095, _UNSIGNED),
        ("u2", 0, 16383, _UNSIGNED),
        ("u2", 0, 65535, _UNSIGNED),
        ("u4", 0, 4095, _UNSIGNED),
        ("u4", 0, 2**32 - 1, _UNSIGNED),
        ("i1", -128, 127, _SIGNED),
        ("i1", 0, 127, _SIGNED),
        ("i2", -32768, 32767, _SIGNED),
        ("i2", -2048, 2047, _SIGNED),
        ("i2", 0, 4095, _SIGNED),
        ("i2", 0, 32767, _SIGNED),
        ("i4", 0, 255, _SIGNED),
        ("i4", 0, 65535, _SIGNED),
        ("f4", 0, 1, _REAL),
        ("f4", -1, 1, _REAL),
        ("f4", 0, 255, _REAL),
        ("f4", 0, 65535, _REAL),
        ("u1", 0, 255, _UNSIGNED),
    ],
)
def test_white_is_found(
    tmp_path: Path,
    dtype: str,
    black: float,
    white: float,
    sample_format: int | None,
    min_is_white: bool,
    deflated: bool,
    order: str,
) -> None:
    values = (black + _SHADES * (white - black))[None].astype(dtype)
    directory = Directory(
        values=values,
        sample_format=sample_format,
        deflated=deflated,
        photometric=0 if min_is_white else 1,
    )
    expected = [255, 204, 153, 0] if min_is_white else [0, 51, 102, 255]
    # Of 7 bits the next lower number is two shades darker.
    assert _shades(tmp_path, tiff(directory, order=order)) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("photometric", [0, 1])
def test_samples_of_12_bits_have_their_own_depth(
    tmp_path: Path, photometric: int, order: str
) -> None:
    values = np.array([[0, 819, 900, 900]], np.uint16)
    directory = Directory(
        values=values, bits=12, photometric=photometric, data=_twelve_bits(values)
    )
    expected = [0, 51, 56, 56]
    if photometric == 0:
        expected = [255 - shade for shade in expected]
    assert _shades(tmp_path, tiff(directory, order=order)) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    ("highest", "stated", "shade"),
    [
        (2000, 2550, 200),
        (4095, 255, 255),
        (4095, 65535, 255),
        (900, 4095, 56),
        (0, 4095, 0),
        (3000, None, 187),
    ],
    ids=["stated", "below the pixels", "default of the tag", "dark page", "blank", "absent"],
)
def test_the_largest_value_that_the_file_states(
    tmp_path: Path, highest: int, stated: int | None, shade: int
) -> None:
    directory = Directory(
        values=np.array([[0, highest]], np.uint16),
        tags={} if stated is None else {281: (3, [stated])},
    )
    assert _shades(tmp_path, tiff(directory), 2) == pytest.approx([0, shade], abs=1)


def test_a_black_and_white_page_stored_as_numbers(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.uint16):
        directory = Directory(values=np.array([[0, 1, 1, 0]], dtype))
        assert _shades(tmp_path, tiff(directory)) == [0, 255, 255, 0]


@pytest.mark.parametrize("shade", [0, 1, 12, 200, 255])
def test_uniform_pages_stay_as_they_are(tmp_path: Path, shade: int) -> None:
    directory = Directory(values=np.full((1, 4), shade, np.uint8))
    assert _shades(tmp_path, tiff(directory)) == [shade] * 4


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 51, 255, np.nan], [0, 51, 255, 255]),
        ([0, 0.2, 1, np.inf], [0, 51, 255, 255]),
        ([0, 0.2, 1, -3.4e38], [0, 51, 255, 255]),
        ([-0.1, 0.2, 1, 1.2], [0, 51, 255, 255]),
        ([0, 65535, 1e9, -5], [0, 255, 255, 0]),
        ([np.nan] * 4, [255] * 4),
    ],
    ids=["no number", "infinite", "no data", "overshoot", "above 16 bits", "no value at all"],
)
def test_real_numbers(tmp_path: Path, values: list[float], expected: list[int]) -> None:
    directory = Directory(values=np.array([values], np.float32), sample_format=_REAL)
    assert _shades(tmp_path, tiff(directory)) == pytest.approx(expected, abs=1)


def test_an_image_without_values_has_a_range() -> None:
    found = find_range([], StoredSamples(bits=16))
    assert found.black < found.white
    assert not found.has_gaps


def test_undershoots_of_whole_numbers_are_black(tmp_path: Path) -> None:
    directory = Directory(values=np.array([[-5, 51, 102, 255]], np.int32), sample_format=_SIGNED)
    assert _shades(tmp_path, tiff(directory)) == pytest.approx([0, 51, 102, 255], abs=1)
