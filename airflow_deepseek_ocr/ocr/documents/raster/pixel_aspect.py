"""Shape of an image's pixels. Fax machines and old printers have other densities across than down."""

from __future__ import annotations

import math
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from airflow_deepseek_ocr.ocr.documents.limits import MAX_RENDERED_PIXELS

#: Smallest difference that is mended. Densities in whole pixels for each metre, centimetre or inch are
#: rounded by less; the smallest real one is 4% (a fine fax, 204 x 196 dpi, ITU-T T.4).
_LEAST_RATIO = 1.01

#: Largest ratio that is believed. A standard fax has 2.1, dot matrix printers 3.3 (240 x 72 dpi); more is
#: a density that one program wrote for one direction only.
_MOST_RATIO = 4.0

#: Resolutions of scans and faxes in dpi. Less is that of a screen's metres, more a damaged value.
_LOWEST_DPI, _HIGHEST_DPI = 50, 2400

#: Orientations that exchange rows and columns (EXIF 2.32, tag 0x0112).
_ON_THEIR_SIDE = (5, 6, 7, 8)


def with_square_pixels(converted: Image.Image, across: float, down: float) -> Image.Image:
    """Return an image as it appears on paper.

    The direction with fewer pixels for each inch is enlarged, or the other one is reduced if the image
    would have more than 40 million pixels.

    :param converted: the pixels, not yet turned by the image's orientation.
    :param across: see :func:`densities`.
    :param down: see :func:`densities`.
    """
    # Of unit-less densities (TIFF unit 1, PNG and JFIF unit 0) the ratio counts as well: it is their use.
    if not (0 < across < math.inf and 0 < down < math.inf):
        return converted
    ratio = max(across, down) / min(across, down)
    if not _LEAST_RATIO < ratio <= _MOST_RATIO:
        return converted
    width, height = converted.size
    enlarged = width * height * ratio <= MAX_RENDERED_PIXELS
    if (across > down) == enlarged:
        height = round(height * (ratio if enlarged else 1 / ratio))
    else:
        width = round(width * (ratio if enlarged else 1 / ratio))
    return converted.resize((max(1, width), max(1, height)), Image.Resampling.BICUBIC)


def densities(image: Image.Image) -> tuple[float, float]:
    """Return the pixels for each unit of length across and down; NaN where the file does not say.

    :param image: the image as opened. A TIFF has not been decoded: Pillow forgets its orientation then.
    """
    if isinstance(image, TiffImageFile):
        across, down = _of_tags(image.tag_v2)
        # Pillow turns TIFFs, and only TIFFs, while it decodes them; the tags are about the stored rows.
        turned = image.tag_v2.get(ExifTags.Base.Orientation) in _ON_THEIR_SIDE
        return (down, across) if turned else (across, down)
    # JFIF, PNG with a unit, PNG without. Pillow copies one direction of EXIF's densities into "dpi".
    keys = ("dpi", "aspect") if image.format == "PNG" else ("jfif_density",)
    for key in keys:
        if key in image.info:
            across, down = image.info[key]
            return float(across), float(down)
    return _of_tags(image.getexif())


def resolution(image: Image.Image, size: tuple[int, int]) -> int:
    """Return the resolution of a page in dpi; 0 if the file names none that can be believed.

    :param image: the image as opened.
    :param size: of the page, which may have been scaled down.
    """
    try:
        dpi = max(map(float, image.info["dpi"]))
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return 0
    longest, before = max(size), max(image.size)
    # Enlarged pages have the higher of both densities already.
    dpi *= min(1.0, longest / max(1, before))
    return round(dpi) if _LOWEST_DPI <= dpi <= _HIGHEST_DPI else 0


def _of_tags(tags: Any) -> tuple[float, float]:
    return _number(tags.get(ExifTags.Base.XResolution)), _number(
        tags.get(ExifTags.Base.YResolution)
    )


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, ArithmeticError):
        return math.nan  # absent or damaged
