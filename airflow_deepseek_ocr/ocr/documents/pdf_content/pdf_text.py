"""The text layer of a PDF page, read by PDFium."""

from __future__ import annotations

import ctypes
import itertools
import logging
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pypdfium2
import pypdfium2.raw as pdfium

from airflow_deepseek_ocr.ocr.documents.pdf_content.glyph_shapes import wrongly_mapped
from airflow_deepseek_ocr.ocr.documents.pdf_content.pdfium_calls import (
    address_of,
    has_map_error,
    is_generated,
)
from airflow_deepseek_ocr.ocr.documents.pdf_content.visible_text import (
    Characters,
    find_visible,
    read_characters,
)
from airflow_deepseek_ocr.ocr.documents.text_layer import (
    MAX_LAYER_CHARACTERS,
    MAX_LAYER_LINES,
    LayerLine,
    TextLayer,
)
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE, Box

log = logging.getLogger(__name__)

#: Characters of a page that are examined one by one, evenly spread; all of them on most pages.
_SAMPLE = 2000
#: Largest number of characters that PDFium visits for the positions of a page, about a second's work: it
#: visits all characters of the page for each line. Up to 20,000 characters every line gets its position.
_MAX_VISITED_CHARACTERS = 100_000_000


def read_text_layer(
    page: pypdfium2.PdfPage, bitmap: pypdfium2.PdfBitmap, scale: float
) -> TextLayer | None:
    """Return the visible text of a page with the positions of its lines; None if the text is too long to use.

    The caller makes sure that no other thread uses PDFium, and does not render the page afterwards.

    :param page: an open page.
    :param bitmap: its image.
    :param scale: pixels per point of the image.
    :raises pypdfium2.PdfiumError: the text of the page cannot be read.
    """
    textpage = page.get_textpage()
    positions = bitmap.get_posconv(page)
    try:
        count = textpage.count_chars()
        if count > MAX_LAYER_CHARACTERS:
            log.warning(
                "A page has %d characters of text, more than %d; its text layer is not used.",
                count,
                MAX_LAYER_CHARACTERS,
            )
            return None
        characters = read_characters(textpage, positions)
        printed = int(characters.printed.sum())
        if not printed:
            return TextLayer("")
        unmapped = max(_unmapped(textpage), wrongly_mapped(textpage, characters))
        seen = find_visible(page, bitmap, scale, characters)
        # Text outside of the page is no other program's reading of the page: it is left out without doubt
        # about the rest.
        inside = characters.printed & ~seen.outside
        invisible = float((inside & ~seen.visible).sum() / max(1, inside.sum()))
        if seen.visible.all():
            text = _text_in(textpage).replace("\r\n", "\n")
            return TextLayer(text, _lines(textpage, positions), unmapped, invisible)
        return TextLayer(
            "".join(_shown(characters, seen.visible, 0, count)).replace("\r\n", "\n").strip(),
            _visible_lines(characters, seen.visible, (bitmap.width, bitmap.height)),
            unmapped,
            invisible,
        )
    finally:
        textpage.close()


def _unmapped(textpage: pypdfium2.PdfTextPage) -> float:
    """Return the share of characters without a Unicode value."""
    page, count = address_of(textpage), textpage.count_chars()
    sample = range(0, count, max(1, count // _SAMPLE))
    # Spaces and line ends that PDFium inserted do not count.
    printed = [index for index in sample if not is_generated(page, index)]
    unmapped = sum(has_map_error(page, index) == 1 for index in printed)
    return unmapped / len(printed) if printed else 0.0


def _shown(
    characters: Characters, visible: npt.NDArray[np.bool_], start: int, end: int
) -> Iterator[str]:
    return (characters.text[index] for index in range(start, end) if visible[index])


def _visible_lines(
    characters: Characters, visible: npt.NDArray[np.bool_], size: tuple[int, int]
) -> tuple[LayerLine, ...]:
    """Return the lines of the visible characters, each with the place of its characters."""
    lines: list[LayerLine] = []
    breaks = [index for index, each in enumerate(characters.text) if each in "\r\n"]
    for start, end in itertools.pairwise([-1, *breaks, len(characters.text)]):
        text = "".join(_shown(characters, visible, start + 1, end)).strip()
        mine = np.zeros(len(visible), dtype=bool)
        mine[start + 1 : end] = True
        mine &= visible & characters.printed
        if not text or not mine.any() or len(lines) == MAX_LAYER_LINES:
            continue
        places = characters.pixels[mine]
        low, high = places[:, :2].min(axis=0), places[:, 2:].max(axis=0)
        lines.append(LayerLine(text, _box((*low, *high), size)))
    return tuple(lines)


def _lines(
    textpage: pypdfium2.PdfTextPage, positions: pypdfium2.PdfPosConv
) -> tuple[LayerLine, ...]:
    _, _, width, height, _ = positions.pos_args
    lines: list[LayerLine] = []
    unused = MAX_LAYER_CHARACTERS
    most = min(MAX_LAYER_LINES, _MAX_VISITED_CHARACTERS // max(1, textpage.count_chars()))
    for index in range(min(textpage.count_rects(), most)):
        left, bottom, right, top = textpage.get_rect(index)
        text = _text_in(textpage, (left, top, right, bottom)).strip()
        if not text:
            continue
        # Lines that overlap contain the same characters again.
        unused -= len(text)
        if unused < 0:
            break
        x1, y1 = positions.to_bitmap(left, top)
        x2, y2 = positions.to_bitmap(right, bottom)
        lines.append(LayerLine(text, _box((x1, y1, x2, y2), (width, height))))
    return tuple(lines)


def _text_in(
    textpage: pypdfium2.PdfTextPage, corners: tuple[float, float, float, float] | None = None
) -> str:
    """Return the text in a rectangle (left, top, right, bottom in points); None for the whole page.

    pypdfium2's own function lets PDFium search the characters twice, first for the text's length.
    """
    if corners is None:
        left, bottom, right, top = textpage.page.get_bbox()
        corners = left, top, right, bottom
    # PDFium's text has at most one surrogate pair for each of its characters.
    most = 2 * textpage.count_chars() + 1
    buffer = (ctypes.c_ushort * most)()
    length = pdfium.FPDFText_GetBoundedText(textpage, *corners, buffer, most)
    # There is room for a NUL at the end, which PDFium writes and counts.
    return bytes(memoryview(buffer)[:length]).decode("utf-16-le", "ignore").removesuffix("\0")


def _box(corners: tuple[float, ...], size: tuple[int, int]) -> Box:
    width, height = size
    x1, y1, x2, y2 = map(round, corners)
    # Rotation of the page swaps the corners.
    xs = [min(max(x, 0), width) for x in sorted((x1, x2))]
    ys = [min(max(y, 0), height) for y in sorted((y1, y2))]
    left, top, right, bottom = (
        round(value * MAX_COORDINATE / side)
        for value, side in ((xs[0], width), (ys[0], height), (xs[1], width), (ys[1], height))
    )
    return Box((left, top, right, bottom), (xs[0], ys[0], xs[1], ys[1]))
