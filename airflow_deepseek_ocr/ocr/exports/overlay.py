"""A page image with the boxes of its regions drawn in, for inspection."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from airflow_deepseek_ocr.ocr.results import Region

#: Colours that colour-blind people can tell apart (Okabe and Ito, 2008), without black.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def draw_regions(image: Image.Image, regions: Sequence[Region]) -> Image.Image:
    """Return a copy of ``image`` in RGB with each box outlined, numbered and labelled.

    :param image: the page image that the regions were read from; their boxes are in its pixels.
    :param regions: in reading order; numbered from 1. Regions with the same label have the same colour.
    """
    overlay = image.convert("RGB")  # a copy in any case
    draw = ImageDraw.Draw(overlay)
    unit = max(1, min(overlay.size) // 400)
    font = ImageFont.load_default(size=10 * unit)
    for position, region in enumerate(regions, start=1):
        colour = _COLOURS[zlib.crc32(region.label.encode("utf-8", "replace")) % len(_COLOURS)]
        caption = f"{position} {region.label}"
        left, top, right, bottom = draw.textbbox((0, 0), caption, font=font)
        for box in region.boxes:
            x1, y1, x2, y2 = box.pixels
            # Models may write the corners of a box in any order.
            corners = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
            draw.rectangle(corners, outline=colour, width=2 * unit)
            above = max(0, corners[1] - (bottom - top) - 4 * unit)
            background = (corners[0], above, corners[0] + right - left + 4 * unit, above + bottom)
            draw.rectangle(background, fill=colour)
            draw.text((corners[0] + 2 * unit, above), caption, font=font, fill="white")
    return overlay
