"""PDF pages as images, by PDFium."""

from __future__ import annotations

import logging
import math
import threading
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import MOST_DRAWN_PIXELS, Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.pdf_text import read_text_layer
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer

log = logging.getLogger(__name__)

#: PDFium keeps global state: two threads inside it at once crash the process.
_PDFIUM = threading.RLock()

# PDFs with XFA forms are read as every viewer without XFA shows them; pypdfium2's advice to compile
# another PDFium would stand in the log of each.
logging.getLogger("pypdfium2._helpers.document").addFilter(
    lambda record: "XFA" not in record.getMessage()
)

_POINTS_PER_INCH = 72
_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD in fpdfview.h
_SECURITY_ERROR = 5  # FPDF_ERR_SECURITY


class PdfDocument(Document):
    """An open PDF; pages are rendered with their annotations and filled-in form fields."""

    media_type = "application/pdf"

    def __init__(self, path: Path, selection: PageSelection, dpi: int, limits: Limits) -> None:
        self._dpi, self._limits = dpi, limits
        with _PDFIUM:
            self._pdf = _open(path)
            try:
                self.page_count = len(self._pdf)
                if self.page_count == 0:
                    raise DocumentError(ErrorCode.DAMAGED, "The PDF has no pages; export it again.")
                self._select(selection, limits)
                self._pdf.init_forms()
            except BaseException:
                self._pdf.close()
                raise

    def page(self, number: int) -> Page:
        """See :meth:`Document.page`."""
        with _PDFIUM:
            try:
                page = self._pdf[number - 1]
            except pypdfium2.PdfiumError as error:
                raise _damaged(number, error) from error
            try:
                bitmap = page.render(
                    scale=self._scale(number, *page.get_size()),
                    prefer_bgrx=True,
                    rev_byteorder=True,
                )
                try:
                    # A copy: the bitmap's memory is PDFium's and is released here.
                    image = bitmap.to_pil().convert("RGB")
                    layer = _text_layer(number, page, bitmap)
                finally:
                    bitmap.close()
            except (pypdfium2.PdfiumError, ValueError, RuntimeError) as error:
                raise _damaged(number, error) from error
            finally:
                page.close()
        return Page(number, image, layer)

    def close(self) -> None:
        """See :meth:`Document.close`."""
        with _PDFIUM:
            self._pdf.close()

    def _scale(self, number: int, width: float, height: float) -> float:
        """Pixels per point: as the dpi asks, or as the limit on pixels allows."""
        scale = self._dpi / _POINTS_PER_INCH
        # A pixel of slack on each side, because PDFium rounds the size up.
        pixels = min(self._limits.max_pixels, MOST_DRAWN_PIXELS)
        allowed = math.sqrt(pixels) - 1
        longest = max(1.0, math.sqrt(max(width, 1.0) * max(height, 1.0)))
        if scale * longest <= allowed:
            return scale
        log.warning(
            "Page %d measures %.0f x %.0f points; rendered at %.1f dpi instead of %d to stay "
            "within %d pixels.",
            number,
            width,
            height,
            allowed / longest * _POINTS_PER_INCH,
            self._dpi,
            pixels,
        )
        return allowed / longest


def _open(path: Path) -> pypdfium2.PdfDocument:
    # PDFium leaves its last error as it is when it finds no page tree, and a damaged file would be said
    # to have the password of the one before.
    pdfium.FPDF_LoadMemDocument(b"", 0, None)
    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code == _PASSWORD_ERROR:
            raise DocumentError(
                ErrorCode.PASSWORD_PROTECTED,
                "The PDF needs a password to open; save a copy without one.",
            ) from error
        if error.err_code == _SECURITY_ERROR:
            raise DocumentError(
                ErrorCode.UNSUPPORTED_ENCRYPTION,
                "The PDF is encrypted in a way that no password opens, such as for the owner of a "
                "certificate; save a copy without encryption.",
            ) from error
        raise DocumentError(
            ErrorCode.DAMAGED,
            f"The PDF is damaged or cut short ({error}); upload it again or repair it.",
        ) from error


def _text_layer(
    number: int, page: pypdfium2.PdfPage, bitmap: pypdfium2.PdfBitmap
) -> TextLayer | None:
    try:
        return read_text_layer(page, bitmap.get_posconv(page))
    except (pypdfium2.PdfiumError, ValueError, RuntimeError) as error:
        log.warning("The text layer of page %d cannot be read: %s", number, error)
        return None


def _damaged(number: int, error: Exception) -> DocumentError:
    return DocumentError(
        ErrorCode.DAMAGED_PAGE,
        f"Page {number} cannot be rendered ({error}); repair the PDF and upload it again.",
    )
