"""Limits on what a document may cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, ErrorCode

if TYPE_CHECKING:
    pass


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
                ErrorCode.LIMITS,
                "max_bytes, max_pages, max_pixels and max_page_seconds must be at least 1, and finite.",
            )
        if self.max_page_memory < _LEAST_MEMORY:
            raise ConfigurationError(
                ErrorCode.LIMITS, f"max_page_memory must be at least {_LEAST_MEMORY:,} bytes."
            )
        if self.max_pixels > _PILLOW_MAX_PIXELS:
            raise ConfigurationError(
                ErrorCode.LIMITS, f"max_pixels must be at most {_PILLOW_MAX_PIXELS}."
            )

    def check_bytes(self, size: int) -> None:
        """Refuse a file of ``size`` bytes that is empty or too large.

        :raises DocumentError: ``empty_file`` or ``too_many_bytes``.
        """
        if size == 0:
            raise DocumentError(
                ErrorCode.EMPTY_FILE, "The file is empty (0 bytes); upload it again."
            )
        if size > self.max_bytes:
            raise DocumentError(
                ErrorCode.TOO_MANY_BYTES,
                f"The file has {size:,} bytes, more than the limit of {self.max_bytes:,}; "
                "split it or raise max_bytes.",
            )

    def check_pages(self, count: int) -> None:
        """Refuse to read ``count`` pages of one document.

        :raises DocumentError: ``too_many_pages``.
        """
        if count > self.max_pages:
            raise DocumentError(
                ErrorCode.TOO_MANY_PAGES,
                f"{count:,} pages are to be read, more than the limit of {self.max_pages:,}; "
                f"select some with pages='1-{self.max_pages}', split the document, or raise max_pages.",
            )

    def check_pixels(self, width: int, height: int) -> None:
        """Refuse an image of that size.

        :raises DocumentError: ``too_many_pixels``.
        """
        if width * height > self.max_pixels:
            raise DocumentError(
                ErrorCode.TOO_MANY_PIXELS,
                f"The image has {width:,} x {height:,} pixels, more than the limit of "
                f"{self.max_pixels:,}; scale it down or raise max_pixels.",
            )
