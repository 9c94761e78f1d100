"""The text layer of a PDF page, read by PDFium."""

from __future__ import annotations

import logging

import pypdfium2
import pypdfium2.raw as pdfium

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


def read_text_layer(page: pypdfium2.PdfPage, positions: pypdfium2.PdfPosConv) -> TextLayer | None:
    """Return the text of a page with the positions of its lines; None if the text is too long to use.

    The caller makes sure that no other thread uses PDFium.

    :param page: an open page.
    :param positions: converts the coordinates of the page (points, from the lower left) to those of its image
        (pixels, from the upper left).
    :raises pypdfium2.PdfiumError: the text of the page cannot be read.
    """
    textpage = page.get_textpage()
    try:
        count = textpage.count_chars()
        if count > MAX_LAYER_CHARACTERS:
            log.warning(
                "A page has %d characters of text, more than %d; its text layer is not used.",
                count,
                MAX_LAYER_CHARACTERS,
            )
            return None
        unmapped, invisible = _shares(textpage)
        return TextLayer(
            text=textpage.get_text_bounded().replace("\r\n", "\n"),
            lines=_lines(textpage, positions),
            unmapped=unmapped,
            invisible=invisible,
        )
    finally:
        textpage.close()


def _shares(textpage: pypdfium2.PdfTextPage) -> tuple[float, float]:
    """Return the shares of characters without a Unicode value, and of invisible characters."""
    count = textpage.count_chars()
    printed = unmapped = invisible = 0
    for index in range(0, count, max(1, count // _SAMPLE)):
        if pdfium.FPDFText_IsGenerated(textpage, index):
            continue  # a space or line end that PDFium inserted
        printed += 1
        unmapped += pdfium.FPDFText_HasUnicodeMapError(textpage, index) == 1
        text = pdfium.FPDFText_GetTextObject(textpage, index)
        mode = pdfium.FPDFTextObj_GetTextRenderMode(text) if text else None
        invisible += mode == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE
    return (unmapped / printed, invisible / printed) if printed else (0.0, 0.0)


def _lines(
    textpage: pypdfium2.PdfTextPage, positions: pypdfium2.PdfPosConv
) -> tuple[LayerLine, ...]:
    _, _, width, height, _ = positions.pos_args
    lines: list[LayerLine] = []
    unused = MAX_LAYER_CHARACTERS
    most = min(MAX_LAYER_LINES, _MAX_VISITED_CHARACTERS // max(1, textpage.count_chars()))
    for index in range(min(textpage.count_rects(), most)):
        left, bottom, right, top = textpage.get_rect(index)
        text = textpage.get_text_bounded(left, bottom, right, top).strip()
        if not text:
            continue
        # Lines that overlap contain the same characters again.
        unused -= len(text)
        if unused < 0:
            break
        x1, y1 = positions.to_bitmap(left, top)
        x2, y2 = positions.to_bitmap(right, bottom)
        # Rotation of the page swaps the corners.
        xs = [min(max(x, 0), width) for x in sorted((x1, x2))]
        ys = [min(max(y, 0), height) for y in sorted((y1, y2))]
        pixels = (xs[0], ys[0], xs[1], ys[1])
        normalized = tuple(
            round(value * MAX_COORDINATE / size)
            for value, size in zip(pixels, (width, height) * 2, strict=True)
        )
        lines.append(LayerLine(text, Box(normalized, pixels)))
    return tuple(lines)
