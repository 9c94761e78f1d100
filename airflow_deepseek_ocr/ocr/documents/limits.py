"""Limits on the size of a document, and on the time and memory that decoding it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, ErrorCode

#: Resolution in dpi at which PDF pages are rendered (``run_dpsk_ocr_pdf.py`` of the published scripts).
DEFAULT_DPI = 144

#: Pixels of a page image, at most: ten times the input of the largest mode (nine tiles of 640 x 640), or A4
#: at 600 dpi. Larger images are halved, which bounds the memory of the pages that wait for the model.
MAX_RENDERED_PIXELS = 40_000_000

#: Pillow refuses larger images: twice its ``MAX_IMAGE_PIXELS``.
_PILLOW_MAX_PIXELS = 178_956_970

#: Bytes of a pixel in color.
_PIXEL_BYTES = 3

#: Smallest ``max_page_memory`` in bytes. The pages of most documents fit: A4 at 144 dpi takes 14 MiB.
_MIN_PAGE_MEMORY = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a document, checked before anything is decoded where possible.

    :param max_bytes: size of the file in bytes.
    :param max_pages: pages to read from one document.
    :param max_pixels: pixels of one decoded page. Larger images are refused. PDF pages are rendered with
        at most this many pixels, and never with more than 40 million.
    :param max_page_seconds: seconds for opening the document, and for decoding each page.
    :param max_page_memory: bytes of memory for opening the document and decoding its pages.
    :raises ConfigurationError: ``limits`` if a limit is below 1, ``max_page_memory`` below 64 MiB,
        ``max_pixels`` above 178,956,970 (Pillow's limit), or ``max_page_seconds`` not finite.
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
                ErrorCode.LIMITS,
                "max_bytes, max_pages, max_pixels and max_page_seconds must be at least 1, and finite.",
            )
        if self.max_page_memory < _MIN_PAGE_MEMORY:
            raise ConfigurationError(
                ErrorCode.LIMITS, f"max_page_memory must be at least {_MIN_PAGE_MEMORY:,} bytes."
            )
        if self.max_pixels > _PILLOW_MAX_PIXELS:
            raise ConfigurationError(
                ErrorCode.LIMITS, f"max_pixels must be at most {_PILLOW_MAX_PIXELS:,}."
            )

    @property
    def max_attached_bytes(self) -> int:
        """Bytes of a file attached to a document: it leaves the rendering process by the way of pages."""
        return _PIXEL_BYTES * self.max_pixels

    def check_bytes(self, size: int) -> None:
        """Refuse a file that is empty or too large.

        :param size: in bytes.
        :raises DocumentError: ``empty_file`` or ``too_many_bytes``.
        """
        if size == 0:
            raise DocumentError(
                ErrorCode.EMPTY_FILE, "The file is empty (0 bytes). Upload it again."
            )
        if size > self.max_bytes:
            raise DocumentError(
                ErrorCode.TOO_MANY_BYTES,
                f"The file has {size:,} bytes, more than the limit of {self.max_bytes:,}. "
                "Split it or raise max_bytes.",
            )

    def check_pages(self, count: int) -> None:
        """Refuse a document of which too many pages are selected.

        :param count: number of selected pages.
        :raises DocumentError: ``too_many_pages``.
        """
        if count > self.max_pages:
            raise DocumentError(
                ErrorCode.TOO_MANY_PAGES,
                f"{count:,} pages are selected, more than the limit of {self.max_pages:,}. "
                f"Select fewer with pages='1-{self.max_pages}', split the document, or raise max_pages.",
            )

    def check_pixels(self, width: int, height: int) -> None:
        """Refuse an image with too many pixels.

        :param width: in pixels.
        :param height: in pixels.
        :raises DocumentError: ``too_many_pixels``.
        """
        if width * height > self.max_pixels:
            raise DocumentError(
                ErrorCode.TOO_MANY_PIXELS,
                f"The image has {width:,} x {height:,} pixels, more than the limit of "
                f"{self.max_pixels:,}. Scale it down or raise max_pixels.",
            )
