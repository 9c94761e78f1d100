"""Bytes to pages: what a file is, how many pages it has, and one page image at a time.

A file is what its content says, whatever its name; limits are checked before anything is decoded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection

if TYPE_CHECKING:
    pass
from airflow_deepseek_ocr.ocr.documents.base import Document
from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI, Limits

#: (offset, magic bytes, media type)
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"II+\x00", "image/tiff"),
    (0, b"MM\x00+", "image/tiff"),
    (8, b"WEBP", "image/webp"),
    *(
        (4, b"ftyp" + brand, "image/heif")
        for brand in (b"heic", b"heix", b"mif1", b"msf1", b"hevc")
    ),
)


#: A PDF's header may stand anywhere in the first KiB (PDF 1.7, appendix H, note 13).
_PDF_HEADER, _PDF_SEARCH = b"%PDF-", 1024


SUPPORTED = "PDF, PNG, JPEG, WebP, TIFF and, with pillow-heif, HEIF"


def media_type_of(path: Path) -> str | None:
    """A file's media type by its first bytes; None if it is none of the supported ones."""
    with path.open("rb") as file:
        head = file.read(_PDF_SEARCH)
    for offset, magic, media_type in _SIGNATURES:
        if head.startswith(magic, offset):
            return media_type
    return "application/pdf" if _PDF_HEADER in head else None


def open_document(
    path: Path,
    *,
    selection: PageSelection | None = None,
    dpi: int = DEFAULT_DPI,
    limits: Limits | None = None,
) -> Document:
    """Open a file as pages.

    :param path: a local file.
    :param selection: the pages to read; all by default.
    :param dpi: resolution for rendering PDF pages, in dots per inch.
    :param limits: what the document may cost.
    :raises DocumentError: ``empty_file``, ``unsupported_type``, ``password_protected``,
        ``unsupported_encryption``, ``damaged``, ``too_many_bytes``, ``too_many_pages``,
        ``too_many_pixels``, ``no_such_page``.
    """
    selection, limits = selection or PageSelection(), limits or Limits()
    limits.check_bytes(path.stat().st_size)
    media_type = media_type_of(path)
    if media_type is None:
        raise DocumentError(
            ErrorCode.UNSUPPORTED_TYPE,
            f"The content is none of the supported types: {SUPPORTED}. Convert it.",
        )
    if media_type == "application/pdf":
        from airflow_deepseek_ocr.ocr.documents.pdf import PdfDocument

        return PdfDocument(path, selection, dpi, limits)
    from airflow_deepseek_ocr.ocr.documents.images import ImageDocument

    return ImageDocument(path, media_type, selection, limits)
