"""Attached files of a PDF that are read as separate documents, and their content."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from itertools import islice

import pypdfium2
import pypdfium2.raw as pdfium

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import no_attached_file
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.pdf_content.pdf_unshown import (
    MAX_ANNOTATIONS,
    document_files,
    file_name,
    file_type,
    page_files,
)
from airflow_deepseek_ocr.ocr.documents.unshown import MAX_NAMES, AttachedFile, is_document_name

#: Files of a document, and of each page, that are read, at most: as many as are named.
MAX_ATTACHED = MAX_NAMES
#: Files that are inspected for them.
_MAX_INSPECTED = 10 * MAX_ATTACHED
#: Media types that this package reads.
_TYPES = frozenset(
    (
        "application/pdf",
        *(f"image/{kind}" for kind in ("png", "jpeg", "webp", "tiff", "heic", "heif")),
    )
)
_CHUNK = 1 << 20


def attached_to_document(pdf: pypdfium2.PdfDocument) -> tuple[AttachedFile, ...]:
    """Return the PDFs and images that are attached to a PDF as a whole, the first 100."""
    return _documents(document_files(pdf, _MAX_INSPECTED))


def attached_to_page(page: pypdfium2.PdfPage, number: int) -> tuple[AttachedFile, ...]:
    """Return the PDFs and images that are attached to a place on a page, the first 100.

    :param page: an open page.
    :param number: the page's number, from 1.
    """
    return _documents(page_files(page, number))


def attached_content(pdf: pypdfium2.PdfDocument, number: int, limits: Limits) -> Iterator[bytes]:
    """Yield the content of an attached file in chunks.

    :param number: see :class:`AttachedFile`.
    :param limits: limits of the document.
    :raises DocumentError: ``missing_file``, ``empty_file``, ``too_many_bytes``, ``damaged``.
    """
    if number <= MAX_ANNOTATIONS:
        yield from _content(_find(document_files(pdf, number), number), limits)
        return
    page_number = (number - 1) // MAX_ANNOTATIONS
    try:
        page = pdf[page_number - 1]
    except (pypdfium2.PdfiumError, IndexError):
        raise no_attached_file(number) from None
    try:
        yield from _content(_find(page_files(page, page_number), number), limits)
    finally:
        page.close()


def _documents(files: Iterator[tuple[int, pdfium.FPDF_ATTACHMENT]]) -> tuple[AttachedFile, ...]:
    named = ((number, file_name(file), file) for number, file in files)
    found = (
        AttachedFile(number, name)
        for number, name, file in named
        if is_document_name(name) or file_type(file) in _TYPES
    )
    return tuple(islice(found, MAX_ATTACHED))


def _find(
    files: Iterator[tuple[int, pdfium.FPDF_ATTACHMENT]], number: int
) -> pdfium.FPDF_ATTACHMENT:
    file = next((file for each, file in files if each == number), None)
    if file is None:
        raise no_attached_file(number)
    return file


def _content(file: pdfium.FPDF_ATTACHMENT, limits: Limits) -> Iterator[bytes]:
    # The size that the PDF declares is ignored: PDFium decodes the content, within the process's memory.
    size = ctypes.c_ulong()
    if not pdfium.FPDFAttachment_GetFile(file, None, 0, size):
        raise _damaged()
    limits.check_bytes(size.value)
    most = limits.max_attached_bytes
    if size.value > most:
        raise DocumentError(
            ErrorCode.TOO_MANY_BYTES,
            f"The attached file has {size.value:,} bytes, more than the limit of {most:,} (three for each of "
            "max_pixels). Extract it, and read it as a document.",
        )
    buffer = (ctypes.c_ubyte * size.value)()
    if not pdfium.FPDFAttachment_GetFile(file, buffer, size, size):
        raise _damaged()
    view = memoryview(buffer).cast("B")
    for start in range(0, len(view), _CHUNK):
        yield bytes(view[start : start + _CHUNK])


def _damaged() -> DocumentError:
    return DocumentError(
        ErrorCode.DAMAGED,
        "The attached file cannot be decoded. Attach it again, or repair the PDF.",
    )
