"""The page image with its regions' boxes drawn in, for a person to look at."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw, ImageFont

from airflow_deepseek_ocr.ocr.results import Region

#: Colours that stay apart for colour-blind readers (Okabe and Ito, 2008), without black.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def draw_regions(image: Image.Image, regions: Sequence[Region]) -> Image.Image:
    """A copy of ``image`` with each box outlined, numbered and labelled.

    :param image: the page image the regions were read from.
    :param regions: in reading order.
    """
    drawn = image.convert("RGB").copy()
    return draw_boxes(
        drawn,
        (
            (position, region.label, box.pixels)
            for position, region in enumerate(regions, start=1)
            for box in region.boxes
        ),
    )


def draw_boxes(
    image: Image.Image, boxes: Iterable[tuple[int, str, tuple[int, int, int, int]]]
) -> Image.Image:
    """``image`` itself, with (position, label, box in pixels) drawn in."""
    draw = ImageDraw.Draw(image)
    unit = max(1, min(image.size) // 400)
    font = ImageFont.load_default(size=10 * unit)
    for position, label, (x1, y1, x2, y2) in boxes:
        colour = _COLOURS[zlib.crc32(label.encode("utf-8", "replace")) % len(_COLOURS)]
        corners = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        draw.rectangle(corners, outline=colour, width=2 * unit)
        caption = f"{position} {label}"
        left, top, right, bottom = draw.textbbox((0, 0), caption, font=font)
        above = max(0, corners[1] - (bottom - top) - 4 * unit)
        background = (corners[0], above, corners[0] + right - left + 4 * unit, above + bottom)
        draw.rectangle(background, fill=colour)
        draw.text((corners[0] + 2 * unit, above), caption, font=font, fill="white")
    return image
