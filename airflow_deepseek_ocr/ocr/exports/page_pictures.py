"""Pictures of pages, of their figures, and of their regions' boxes."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image

from airflow_deepseek_ocr.ocr.exports.document_markdown import figure_file
from airflow_deepseek_ocr.ocr.exports.exported import ExportedPage, enclosing
from airflow_deepseek_ocr.ocr.exports.formats import ExportFile, Format
from airflow_deepseek_ocr.ocr.exports.overlay import draw_regions
from airflow_deepseek_ocr.ocr.results import Box, Region

WEBP = "image/webp"

#: Quality and effort of WebP. Print at 144 dpi is free of visible artefacts; effort 0 takes a third of the
#: time of Pillow's default (4), for files that are a fifth larger (docs/measurements/exports.md).
_QUALITY, _EFFORT = 75, 0
#: Filter for scaling down: sharper than bilinear, and as fast; Pillow's default for thumbnails takes 1.7
#: times as long.
_FILTER = Image.Resampling.HAMMING
#: Longest side of a page's picture in pixels: A4 at 144 dpi, the resolution at which pages of PDFs are read.
#: Encoding a scan at 200 dpi would take twice as long.
PAGE_SIDE = 1684
#: Longest side of a figure's picture; the format's limit is 16,383.
_FIGURE_SIDE = 4096


def page_picture(page: ExportedPage, picture: bytes) -> ExportFile:
    """Return the file of a page's picture.

    :param picture: as WebP.
    """
    return ExportFile(Format.WEBP, f"page-{page.number:04d}.webp", WEBP, picture, page.number)


def overlay_picture(page: ExportedPage, image: Image.Image) -> ExportFile:
    """Return the picture of a page with the boxes of its regions as WebP.

    Regions with uncertain words are shaded, unless a person corrected them.

    :param image: the page image.
    """
    regions = [
        Region(
            region.label,
            "",
            tuple(Box((0, 0, 0, 0), box) for box in region.boxes),
            region.confidence,
        )
        for region in page.regions
    ]
    doubtful = {word["region"] for word in page.uncertain_words}
    uncertain = {
        index
        for index, region in enumerate(page.regions)
        if region.position - 1 in doubtful and not region.is_corrected
    }
    drawn = draw_regions(image, regions, uncertain)
    picture = encode_webp(drawn, scaled_size(drawn.size))
    name = f"page-{page.number:04d}.overlay.webp"
    return ExportFile(Format.OVERLAY, name, WEBP, picture, page.number)


def figure_pictures(page: ExportedPage, image: Image.Image) -> Iterator[ExportFile]:
    """Yield the figures of a page, cut out of its picture, as WebP.

    :param image: the page image.
    """
    for region in page.figures:
        left, top, right, bottom = enclosing(region.boxes)
        # A box without area is a point of the page.
        box = (left, top, max(right, left + 1), max(bottom, top + 1))
        figure = image.crop(box)
        picture = encode_webp(figure, scaled_size(figure.size, _FIGURE_SIDE))
        yield ExportFile(Format.FIGURES, figure_file(page, region), WEBP, picture, page.number)


def scaled_size(size: tuple[int, int], longest_side: int = PAGE_SIDE) -> tuple[int, int]:
    """Return the size of a picture.

    :param size: width and height of the image in pixels.
    :param longest_side: pixels to which a longer side is scaled down.
    """
    share = min(1.0, longest_side / max(size))
    width, height = (max(1, round(side * share)) for side in size)
    return width, height


def encode_webp(image: Image.Image, size: tuple[int, int]) -> bytes:
    """Return a picture as WebP.

    :param size: its width and height in pixels.
    """
    if image.size != size:
        image = image.resize(size, _FILTER)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=_EFFORT)
    return buffer.getvalue()
