"""Headers of JPEG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.exports.pdf.jpeg_header import JpegHeader, read_jpeg_header


def saved(path: Path, mode: str = "RGB", **options: Any) -> Path:
    Image.new(mode, (30, 20), 99 if mode == "L" else (9, 9, 9)).save(path, "JPEG", **options)
    return path


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"dpi": (300, 300)}])
def test_a_colour_picture(tmp_path: Path, options: dict[str, Any]) -> None:
    assert read_jpeg_header(saved(tmp_path / "a", **options)) == JpegHeader(30, 20, 3, True)


def test_grey_pictures_and_turned_ones(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    header = read_jpeg_header(saved(tmp_path / "a", "L", exif=exif))
    assert header == JpegHeader(30, 20, 1, False)


def test_what_a_pdf_cannot_take_has_no_header(tmp_path: Path) -> None:
    cmyk = tmp_path / "cmyk"
    Image.new("CMYK", (9, 9)).save(cmyk, "JPEG")
    assert read_jpeg_header(cmyk) is None
    whole = saved(tmp_path / "a").read_bytes()
    for length in range(0, 200, 7):
        (tmp_path / "cut").write_bytes(whole[:length])
        read_jpeg_header(tmp_path / "cut")  # ends
    (tmp_path / "png").write_bytes(b"\x89PNG")
    assert read_jpeg_header(tmp_path / "png") is None
