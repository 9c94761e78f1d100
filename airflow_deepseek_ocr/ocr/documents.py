"""Bytes to pages: what a file is, how many pages it has, and one page image at a time.

A file is what its content says, whatever its name; limits are checked before anything is decoded.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.errors import ConfigurationError, DocumentError
from airflow_deepseek_ocr.ocr.page_selection import PageSelection

if TYPE_CHECKING:
    from PIL import Image

    from airflow_deepseek_ocr.ocr.text_layer import TextLayer

#: Resolution at which PDF pages are rendered (``run_dpsk_ocr_pdf.py`` of the published scripts).
DEFAULT_DPI = 144

#: Pixels of a page image at most: ten times as many as any mode looks at (nine tiles of 640 x 640), and
#: A4 at 600 dpi. Images with more are halved, so that pages take up a bounded memory while they wait.
MOST_DRAWN_PIXELS = 40_000_000

#: Pillow refuses larger images whatever we allow: twice its ``MAX_IMAGE_PIXELS``.
_PILLOW_MAX_PIXELS = 178_956_970
#: Bytes in which the pages of most documents can be drawn: A4 at 144 dpi takes 14 MiB.
_LEAST_MEMORY = 64 << 20


@dataclass(frozen=True)
class Limits:
    """What a document may cost.

    :param max_bytes: size of the file in bytes.
    :param max_pages: pages to read from one document.
    :param max_pixels: pixels of one decoded page. Images with more are refused, PDF pages are
        rendered with as many, or with 40 million where that is less.
    :param max_page_seconds: seconds that opening the document, or decoding one page, may take.
    :param max_page_memory: bytes of memory that decoding may take.
    :raises ConfigurationError: ``limits`` if one is below 1, ``max_page_memory`` below 64 MiB, or
        ``max_pixels`` above Pillow's own.
    """

    max_bytes: int = 1 << 30
    max_pages: int = 2000
    max_pixels: int = 100_000_000
    max_page_seconds: float = 60
    max_page_memory: int = 768 << 20

    def __post_init__(self) -> None:
        if not (
            min(self.max_bytes, self.max_pages, self.max_pixels, self.max_page_seconds) >= 1
            and math.isfinite(self.max_page_seconds)
        ):
            raise ConfigurationError(
                "limits",
                "max_bytes, max_pages, max_pixels and max_page_seconds must be at least 1, and finite.",
            )
        if self.max_page_memory < _LEAST_MEMORY:
            raise ConfigurationError(
                "limits", f"max_page_memory must be at least {_LEAST_MEMORY:,} bytes."
            )
        if self.max_pixels > _PILLOW_MAX_PIXELS:
            raise ConfigurationError("limits", f"max_pixels must be at most {_PILLOW_MAX_PIXELS}.")

    def check_bytes(self, size: int) -> None:
        """Refuse a file of ``size`` bytes that is empty or too large.

        :raises DocumentError: ``empty_file`` or ``too_many_bytes``.
        """
        if size == 0:
            raise DocumentError("empty_file", "The file is empty (0 bytes); upload it again.")
        if size > self.max_bytes:
            raise DocumentError(
                "too_many_bytes",
                f"The file has {size:,} bytes, more than the limit of {self.max_bytes:,}; "
                "split it or raise max_bytes.",
            )

    def check_pages(self, count: int) -> None:
        """Refuse to read ``count`` pages of one document.

        :raises DocumentError: ``too_many_pages``.
        """
        if count > self.max_pages:
            raise DocumentError(
                "too_many_pages",
                f"{count:,} pages are to be read, more than the limit of {self.max_pages:,}; "
                f"select some with pages='1-{self.max_pages}', split the document, or raise max_pages.",
            )

    def check_pixels(self, width: int, height: int) -> None:
        """Refuse an image of that size.

        :raises DocumentError: ``too_many_pixels``.
        """
        if width * height > self.max_pixels:
            raise DocumentError(
                "too_many_pixels",
                f"The image has {width:,} x {height:,} pixels, more than the limit of "
                f"{self.max_pixels:,}; scale it down or raise max_pixels.",
            )


@dataclass(frozen=True)
class Page:
    """One page as an image.

    :param number: from 1.
    :param image: RGB, upright.
    :param text_layer: its own text, if the file brings one.
    """

    number: int
    image: Image.Image
    text_layer: TextLayer | None = None


class Document(ABC):
    """An open document; use it as a context manager.

    :ivar media_type: its type by content.
    :ivar page_count: pages it has.
    :ivar page_numbers: pages that were asked for, in order, from 1.
    """

    media_type: str
    page_count: int
    page_numbers: tuple[int, ...]

    @abstractmethod
    def page(self, number: int) -> Page:
        """Page ``number`` as an image; nothing of it is kept.

        :raises DocumentError: if this page cannot be read; others may.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    def __enter__(self) -> Document:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _select(self, selection: PageSelection, limits: Limits) -> None:
        """Fill ``page_numbers``, within the limits."""
        numbers = selection.of(self.page_count)
        limits.check_pages(len(numbers))
        self.page_numbers = tuple(numbers)


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
            "unsupported_type",
            f"The content is none of the supported types: {SUPPORTED}. Convert it.",
        )
    if media_type == "application/pdf":
        from airflow_deepseek_ocr.ocr.pdf import PdfDocument

        return PdfDocument(path, selection, dpi, limits)
    from airflow_deepseek_ocr.ocr.images import ImageDocument

    return ImageDocument(path, media_type, selection, limits)
