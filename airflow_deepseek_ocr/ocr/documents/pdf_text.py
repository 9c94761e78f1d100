"""The text layer of a PDF page, by PDFium."""

from __future__ import annotations

import pypdfium2
import pypdfium2.raw as pdfium

from airflow_deepseek_ocr.ocr.documents.text_layer import LayerLine, TextLayer
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE, Box

#: Characters that are looked at one by one, spread over the page; all of them on most pages.
_SAMPLE = 2000
#: Most pieces of lines that are placed; a page of a drawing may have a piece for each letter.
_MOST_LINES = 5000
#: Most characters looked at while lines are placed, because PDFium goes through all of the page's for each:
#: a second's work. Pages of up to 20,000 characters are placed whole.
_MOST_CHARACTERS = 100_000_000


def read_text_layer(page: pypdfium2.PdfPage, places: pypdfium2.PdfPosConv) -> TextLayer:
    """The text of a page.

    PDFium must not be in use by another thread.

    :param page: an open page.
    :param places: turns its coordinates into those of its image.
    :raises pypdfium2.PdfiumError: the page's text cannot be read.
    """
    textpage = page.get_textpage()
    try:
        unmapped, invisible = _shares(textpage)
        return TextLayer(
            text=textpage.get_text_bounded().replace("\r\n", "\n"),
            lines=_lines(textpage, places),
            unmapped=unmapped,
            invisible=invisible,
        )
    finally:
        textpage.close()


def _shares(textpage: pypdfium2.PdfTextPage) -> tuple[float, float]:
    """Shares of characters that are not mapped to Unicode, and that are not shown."""
    count = textpage.count_chars()
    printed = unmapped = invisible = 0
    for index in range(0, count, max(1, count // _SAMPLE)):
        if pdfium.FPDFText_IsGenerated(textpage, index):
            continue  # a space or line end that PDFium put in
        printed += 1
        unmapped += pdfium.FPDFText_HasUnicodeMapError(textpage, index) == 1
        text = pdfium.FPDFText_GetTextObject(textpage, index)
        mode = pdfium.FPDFTextObj_GetTextRenderMode(text) if text else None
        invisible += mode == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE
    return (unmapped / printed, invisible / printed) if printed else (0.0, 0.0)


def _lines(textpage: pypdfium2.PdfTextPage, places: pypdfium2.PdfPosConv) -> tuple[LayerLine, ...]:
    _, _, width, height, _ = places.pos_args
    lines = []
    most = min(_MOST_LINES, _MOST_CHARACTERS // max(1, textpage.count_chars()))
    for index in range(min(textpage.count_rects(), most)):
        left, bottom, right, top = textpage.get_rect(index)
        text = textpage.get_text_bounded(left, bottom, right, top).strip()
        if not text:
            continue
        x1, y1 = places.to_bitmap(left, top)
        x2, y2 = places.to_bitmap(right, bottom)
        # On a page that is turned the corners change places.
        xs = [min(max(x, 0), width) for x in sorted((x1, x2))]
        ys = [min(max(y, 0), height) for y in sorted((y1, y2))]
        pixels = (xs[0], ys[0], xs[1], ys[1])
        normalized = tuple(
            round(value * MAX_COORDINATE / size)
            for value, size in zip(pixels, (width, height) * 2, strict=True)
        )
        lines.append(LayerLine(text, Box(normalized, pixels)))
    return tuple(lines)
