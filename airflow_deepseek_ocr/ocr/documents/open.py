"""Detection of a file's type by its content, and the choice of the decoder.

The name of a file is ignored. Limits are checked before anything is decoded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.base import Document
from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI, Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection

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

#: A PDF's header may start anywhere in the first KiB (PDF 1.7, appendix H, note 13).
_PDF_HEADER, _PDF_SEARCH = b"%PDF-", 1024

#: The supported types, for error messages.
SUPPORTED = "PDF, PNG, JPEG, WebP, TIFF and, with pi-heif, HEIF"


def media_type_of(path: Path) -> str | None:
    """Return the media type of a file by its first bytes; None if it is not supported."""
    with path.open("rb") as file:
        return _media_type(file)


def _media_type(file: BinaryIO) -> str | None:
    head = os.pread(file.fileno(), _PDF_SEARCH, 0)
    for offset, magic, media_type in _SIGNATURES:
        if head.startswith(magic, offset):
            return media_type
    return "application/pdf" if _PDF_HEADER in head else None


def open_document(
    source: Path | BinaryIO,
    *,
    selection: PageSelection | None = None,
    dpi: int = DEFAULT_DPI,
    limits: Limits | None = None,
    text_layer: bool = True,
    attachments: bool = False,
) -> Document:
    """Open a file as a document of pages, in this process.

    :param source: a local file, or one that is open; the document closes it.
    :param selection: the pages to read; None selects all.
    :param dpi: resolution for rendering PDF pages, in dpi.
    :param limits: limits of the document; None takes the defaults.
    :param text_layer: whether pages get their text layer.
    :param attachments: whether attached PDFs and images are read as separate documents.
    :raises DocumentError: ``empty_file``, ``unsupported_type``, ``password_protected``,
        ``unsupported_encryption``, ``damaged``, ``too_many_bytes``, ``too_many_pages``,
        ``too_many_pixels``, ``no_such_page``.
    """
    selection, limits = selection or PageSelection(), limits or Limits()
    file = source.open("rb") if isinstance(source, Path) else source
    try:
        return _open(file, selection, dpi, limits, text_layer=text_layer, attachments=attachments)
    except BaseException:
        file.close()
        raise


def _open(
    file: BinaryIO, selection: PageSelection, dpi: int, limits: Limits, **content: bool
) -> Document:
    limits.check_bytes(os.fstat(file.fileno()).st_size)
    media_type = _media_type(file)
    if media_type is None:
        raise DocumentError(
            ErrorCode.UNSUPPORTED_TYPE,
            f"The content is not of a supported type ({SUPPORTED}). Convert the file.",
        )
    if media_type == "application/pdf":
        from airflow_deepseek_ocr.ocr.documents.pdf import PdfDocument

        return PdfDocument(file, selection, dpi, limits, **content)
    from airflow_deepseek_ocr.ocr.documents.images import ImageDocument

    return ImageDocument(file, media_type, selection, limits)
