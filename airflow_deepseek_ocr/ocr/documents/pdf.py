"""PDF files as documents, rendered by PDFium."""

from __future__ import annotations

import ctypes
import logging
import math
import threading
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document, Page
from airflow_deepseek_ocr.ocr.documents.limits import MAX_RENDERED_PIXELS, Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.pdf_content.pdf_attachments import (
    attached_content,
    attached_to_document,
    attached_to_page,
)
from airflow_deepseek_ocr.ocr.documents.pdf_content.pdf_text import read_text_layer
from airflow_deepseek_ocr.ocr.documents.pdf_content.pdf_unshown import (
    document_attachments,
    is_dynamic_form,
    page_attachments,
)
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer

log = logging.getLogger(__name__)

#: PDFium has global state: two threads in it at the same time crash the process.
_PDFIUM = threading.RLock()

# PDFs with XFA forms are rendered as viewers without XFA show them. pypdfium2 would log, for each of them,
# the advice to compile another PDFium.
logging.getLogger("pypdfium2._helpers.document").addFilter(
    lambda record: "XFA" not in record.getMessage()
)

_POINTS_PER_INCH = 72
_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD in fpdfview.h
_SECURITY_ERROR = 5  # FPDF_ERR_SECURITY


class PdfDocument(Document):
    """An open PDF; pages are rendered with their annotations and filled-in form fields.

    :param file: an open local file that is not empty; :meth:`close` closes it.
    :param selection: the pages to read.
    :param dpi: resolution for rendering, in dpi.
    :param limits: limits of the document.
    :param text_layer: whether pages get their text layer.
    :param attachments: whether attached PDFs and images are read as separate documents.
    :raises DocumentError: ``password_protected``, ``unsupported_encryption``, ``damaged``,
        ``too_many_pages``, ``no_such_page``.
    """

    media_type = "application/pdf"

    def __init__(
        self,
        file: BinaryIO,
        selection: PageSelection,
        dpi: int,
        limits: Limits,
        *,
        text_layer: bool = True,
        attachments: bool = False,
    ) -> None:
        self._dpi, self._limits, self._file = dpi, limits, file
        self._with_text_layer, self._with_attachments = text_layer, attachments
        with _PDFIUM:
            # PDFium would open a path; the sandbox refuses that.
            mapping = mmap(file.fileno(), 0, access=ACCESS_READ)
            self._content = np.frombuffer(mapping, np.uint8)
            self._pdf = _open(self._content)
            try:
                self.page_count = len(self._pdf)
                if self.page_count == 0:
                    raise DocumentError(ErrorCode.DAMAGED, "The PDF has no pages. Export it again.")
                self._select(selection, limits)
                self._pdf.init_forms()
                self.dynamic_form = is_dynamic_form(self._pdf)
                if attachments:
                    self.attached = attached_to_document(self._pdf)
                self.attachments = document_attachments(self._pdf, mapping, self.attached)
            except BaseException:
                self._pdf.close()
                raise

    def page(self, number: int) -> Page:
        """See :meth:`Document.page`.

        :raises DocumentError: ``damaged_page``.
        """
        with _PDFIUM:
            try:
                page = self._pdf[number - 1]
            except pypdfium2.PdfiumError as error:
                raise _damaged(number, error) from error
            try:
                scale = self._scale(number, *page.get_size())
                attached = attached_to_page(page, number) if self._with_attachments else ()
                attachments = page_attachments(page, number, attached)
                bitmap = page.render(scale=scale, prefer_bgrx=True, rev_byteorder=True)
                try:
                    # A copy, in half the time of Pillow's conversion: the bitmap ends below.
                    size, stride = (bitmap.width, bitmap.height), bitmap.stride
                    image = Image.frombytes("RGB", size, bitmap.buffer, "raw", "RGBX", stride, 1)
                    layer = None
                    if self._with_text_layer:
                        layer = _text_layer(number, page, bitmap, scale)
                finally:
                    bitmap.close()
            except (pypdfium2.PdfiumError, ValueError, RuntimeError) as error:
                raise _damaged(number, error) from error
            finally:
                page.close()
        return Page(number, image, layer, attachments=attachments, attached=attached)

    def attached_content(self, number: int) -> Iterator[bytes]:
        """See :meth:`Document.attached_content`."""
        with _PDFIUM:
            yield from attached_content(self._pdf, number, self._limits)

    def close(self) -> None:
        """See :meth:`Document.close`."""
        with _PDFIUM:
            self._pdf.close()
        # The mapping ends with the last reference to it.
        del self._content
        self._file.close()

    def _scale(self, number: int, width: float, height: float) -> float:
        """Return pixels per point: those of the dpi, or fewer to respect the limit on pixels.

        :param width: of the page in points.
        :param height: of the page in points.
        """
        scale = self._dpi / _POINTS_PER_INCH
        pixels = min(self._limits.max_pixels, MAX_RENDERED_PIXELS)
        # One pixel of slack on each side: PDFium rounds the size up.
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


def _open(content: npt.NDArray[np.uint8]) -> pypdfium2.PdfDocument:
    # PDFium does not reset its last error when it finds no page tree: a damaged file would be reported with
    # the error of the file before. This call resets it.
    pdfium.FPDF_LoadMemDocument(b"", 0, None)
    try:
        return pypdfium2.PdfDocument(
            (ctypes.c_ubyte * len(content)).from_address(content.ctypes.data)
        )
    except pypdfium2.PdfiumError as error:
        if error.err_code == _PASSWORD_ERROR:
            raise DocumentError(
                ErrorCode.PASSWORD_PROTECTED,
                "The PDF needs a password to open. Save a copy without one.",
            ) from error
        if error.err_code == _SECURITY_ERROR:
            raise DocumentError(
                ErrorCode.UNSUPPORTED_ENCRYPTION,
                "The PDF is encrypted without a password, such as for the owner of a certificate. Save a "
                "copy without encryption.",
            ) from error
        raise DocumentError(
            ErrorCode.DAMAGED,
            f"The PDF is damaged or incomplete ({error}). Upload it again or repair it.",
        ) from error


def _text_layer(
    number: int, page: pypdfium2.PdfPage, bitmap: pypdfium2.PdfBitmap, scale: float
) -> TextLayer | None:
    try:
        return read_text_layer(page, bitmap, scale)
    except (pypdfium2.PdfiumError, ValueError, RuntimeError) as error:
        log.warning("The text layer of page %d cannot be read: %s", number, error)
        return None


def _damaged(number: int, error: Exception) -> DocumentError:
    return DocumentError(
        ErrorCode.DAMAGED_PAGE,
        f"Page {number} cannot be rendered ({error}). Repair the PDF and upload it again.",
    )
