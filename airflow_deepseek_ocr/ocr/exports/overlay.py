"""A page image with the boxes of its regions drawn in, for inspection."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFont

from airflow_deepseek_ocr.ocr.results import Box, Region

#: Colours that colour-blind people can tell apart (Okabe and Ito, 2008), without black.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: Yellow of the same palette, for regions with uncertain words.
_SHADE = "#F0E442"


def draw_regions(
    image: Image.Image, regions: Sequence[Region], uncertain: Collection[int] = ()
) -> Image.Image:
    """Return a copy of ``image`` in RGB with each box outlined, numbered and labelled.

    A region with uncertain words is shaded, and its caption has a question mark and its confidence.

    :param image: the page image that the regions were read from; their boxes are in its pixels.
    :param regions: in reading order; numbered from 1. Regions with the same label have the same colour, and
        regions with equal boxes share an outline, whose caption has all of them.
    :param uncertain: positions, from 0, of regions with uncertain words.
    """
    overlay = image.convert("RGB")  # a copy in any case
    if uncertain:
        overlay = _shaded(overlay, [regions[each] for each in sorted(uncertain)])
    draw = ImageDraw.Draw(overlay)
    unit = max(1, min(overlay.size) // 400)
    font = ImageFont.load_default(size=10 * unit)
    captions = _captions(regions, uncertain)
    for position, region in enumerate(regions, start=1):
        colour = _COLOURS[zlib.crc32(region.label.encode("utf-8", "replace")) % len(_COLOURS)]
        for box in region.boxes:
            corners = _corners(box)
            first, caption = captions[corners]
            if first != position:
                continue  # drawn with the first region of this box
            left, top, right, bottom = draw.textbbox((0, 0), caption, font=font)
            draw.rectangle(corners, outline=colour, width=2 * unit)
            above = max(0, corners[1] - (bottom - top) - 4 * unit)
            background = (corners[0], above, corners[0] + right - left + 4 * unit, above + bottom)
            draw.rectangle(background, fill=colour)
            draw.text((corners[0] + 2 * unit, above), caption, font=font, fill="white")
    return overlay


def _shaded(image: Image.Image, regions: Sequence[Region]) -> Image.Image:
    """Return a copy of an image in which the boxes of regions are tinted; their print stays readable."""
    shades = Image.new("RGB", image.size, "white")
    draw = ImageDraw.Draw(shades)
    for region in regions:
        for box in region.boxes:
            draw.rectangle(_corners(box), fill=_SHADE)
    return ImageChops.multiply(image, shades)


def _caption(position: int, region: Region, uncertain: Collection[int]) -> str:
    caption = f"{position} {region.label}"
    if position - 1 not in uncertain:
        return caption
    return caption + ("?" if region.confidence is None else f"? {region.confidence:.0%}")


def _captions(
    regions: Sequence[Region], uncertain: Collection[int]
) -> dict[tuple[int, int, int, int], tuple[int, str]]:
    """Return the first region's number and the caption of all regions, by the corners of their box."""
    captions: dict[tuple[int, int, int, int], tuple[int, str]] = {}
    for position, region in enumerate(regions, start=1):
        for corners in {_corners(box) for box in region.boxes}:
            name = _caption(position, region, uncertain)
            first, before = captions.get(corners, (position, ""))
            captions[corners] = first, f"{before} + {name}" if before else name
    return captions


def _corners(box: Box) -> tuple[int, int, int, int]:
    """Return a box's pixels from top left to bottom right; models may write corners in any order."""
    x1, y1, x2, y2 = box.pixels
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
