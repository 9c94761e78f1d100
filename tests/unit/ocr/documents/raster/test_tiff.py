"""Directories of TIFF files that are pages, and those that are thumbnails, pyramids and masks."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from tests.corpus.documents.raw_tiff import Directory, tiff
from tests.support.fixtures.made_documents import write

_REDUCED, _PAGE, _MASK = 1, 2, 4


def _image(
    width: int,
    kind: int | None = None,
    *,
    tag: int = 254,
    below: tuple[Directory, ...] = (),
    **more: int,
) -> Directory:
    tags = {} if kind is None else {tag: (4 if tag == 254 else 3, [kind])}
    return Directory(values=np.full((20, width), 255, np.uint8), tags=tags, below=below, **more)  # type: ignore[arg-type]


def _widths(tmp_path: Path, content: bytes) -> list[int | str]:
    """Return the width of each page, or its error code."""
    found: list[int | str] = []
    with open_document(write(tmp_path, "a.tif", content)) as document:
        assert document.page_numbers == tuple(range(1, document.page_count + 1))
        for number in document.page_numbers:
            try:
                found.append(document.page(number).image.width)
            except DocumentError as error:
                found.append(error.code)
    return found


@pytest.mark.parametrize(
    ("directories", "widths"),
    [
        ([_image(90, 0), _image(30, _REDUCED)], [90]),
        ([_image(30, _REDUCED), _image(90, 0)], [90]),
        ([_image(90), _image(30, _REDUCED), _image(80), _image(20, _REDUCED)], [90, 80]),
        ([_image(90, _PAGE), _image(80, _PAGE), _image(20, _PAGE)], [90, 80, 20]),
        ([_image(90, _PAGE), _image(30, _PAGE | _REDUCED)], [90]),
        ([_image(90, 0), _image(90, _MASK), _image(30, _REDUCED | _MASK)], [90]),
        ([_image(90, 0), _image(90, photometric=4)], [90]),
        ([_image(90, 1, tag=255), _image(30, 2, tag=255), _image(80, 3, tag=255)], [90, 80]),
        ([_image(90, 0), _image(45, _REDUCED), _image(22, _REDUCED)], [90]),
        ([_image(30, _REDUCED), _image(40, _REDUCED)], [30, 40]),
        ([_image(30, _REDUCED)], [30]),
        ([_image(30, _MASK)], [30]),
        ([_image(90, 0), _image(90, _REDUCED), _image(95, _REDUCED)], [90, 90, 95]),
        ([_image(90, 16), _image(80, 0x10000)], [90, 80]),
        ([_image(90, 0, below=(_image(45, _REDUCED),))], [90]),
        ([_image(30, _REDUCED, below=(_image(90, 0), _image(80, _REDUCED)))], [90]),
        ([_image(30, _REDUCED, below=(_image(45, _REDUCED),))], [30, 45]),
    ],
    ids=[
        "thumbnail behind",
        "thumbnail first",
        "thumbnails of pages",
        "pages",
        "thumbnail of a page",
        "mask and its thumbnail",
        "mask by its values",
        "older tag",
        "pyramid",
        "thumbnails alone",
        "one thumbnail alone",
        "mask alone",
        "marked wrongly",
        "other bits",
        "pyramid below",
        "photograph below its thumbnail",
        "thumbnails below thumbnails",
    ],
)
@pytest.mark.parametrize("order", "<>")
def test_pages(tmp_path: Path, directories: list[Directory], widths: list[int], order: str) -> None:
    assert _widths(tmp_path, tiff(*directories, order=order)) == widths


def test_page_numbers_and_selections_count_pages(tmp_path: Path) -> None:
    content = tiff(_image(90), _image(30, _REDUCED), _image(80), _image(20, _REDUCED), _image(70))
    path = write(tmp_path, "a.tif", content)
    with open_document(path, selection=PageSelection.parse("2-")) as document:
        assert document.page_count == 3
        # Out of order and repeatedly, as retries do.
        widths = [document.page(number).image.width for number in (3, 2, 3)]
        assert document.page_numbers == (2, 3)
    assert widths == [70, 80, 70]


def test_a_page_of_unknown_samples_fails_alone(tmp_path: Path) -> None:
    odd = Directory(values=np.zeros((20, 50), np.float64), sample_format=3)
    assert _widths(tmp_path, tiff(odd, _image(90))) == ["unsupported_type", 90]
    assert _widths(tmp_path, tiff(_image(90), odd)) == [90, "unsupported_type"]


def test_a_directory_behind_the_end_is_a_damaged_page(tmp_path: Path) -> None:
    content = bytearray(tiff(_image(90)))
    content[-4:] = struct.pack("<I", len(content) + 1000)
    assert _widths(tmp_path, bytes(content)) == [90, "damaged"]


def test_directories_in_a_circle_end(tmp_path: Path) -> None:
    content = bytearray(tiff(_image(90), _image(80)))
    content[-4:] = content[4:8]
    assert _widths(tmp_path, bytes(content)) == [90, 80]


def test_directories_below_that_point_anywhere_are_left_out(tmp_path: Path) -> None:
    pointing = Directory(
        values=np.full((20, 30), 255, np.uint8),
        tags={254: (4, [_REDUCED]), 330: (4, [0, 5, 1 << 31])},
    )
    assert _widths(tmp_path, tiff(pointing)) == [30]


def test_each_page_has_samples_of_its_own(tmp_path: Path) -> None:
    values = np.array([[0, 4095]], np.uint16).repeat(20, 0)
    content = tiff(
        Directory(values=values),
        Directory(values=values, photometric=0),
        Directory(values=values // 4095 * np.uint16(65535)),
    )
    with open_document(write(tmp_path, "a.tif", content)) as document:
        shades = [
            [document.page(number).image.getpixel((x, 0)) for x in (0, 1)]
            for number in (1, 2, 3, 1)
        ]
    black, white = (0, 0, 0), (255, 255, 255)
    assert shades == [[black, white], [white, black], [black, white], [black, white]]


def test_every_page_counts_towards_the_limit(tmp_path: Path) -> None:
    from airflow_deepseek_ocr.ocr.documents.limits import Limits

    path = write(tmp_path, "a.tif", tiff(_image(90), _image(30, _REDUCED), _image(80)))
    with open_document(path, limits=Limits(max_pages=2)) as document:
        assert document.page_count == 2
    with pytest.raises(DocumentError) as caught:
        open_document(path, limits=Limits(max_pages=1))
    assert caught.value.code is ErrorCode.TOO_MANY_PAGES
