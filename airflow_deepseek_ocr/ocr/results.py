"""What was read, as frozen dataclasses: region, page, document."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

#: Largest coordinate of a normalised box (section 3.5 of the DeepSeek-OCR paper: 1000 bins).
MAX_COORDINATE = 999


class PageStatus(StrEnum):
    """How a page ended."""

    OK = "ok"
    FAILED = "failed"


class DocumentStatus(StrEnum):
    """How a document ended: every page read, some of them, or none."""

    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True)
class Box:
    """A bounding box (x1, y1, x2, y2), as the model wrote it and in the page's pixels.

    :param normalized: 0..999 over the page's width and height, exactly as written, valid or not.
    :param pixels: the same in pixels of the page image, clipped to it.
    """

    normalized: tuple[int, int, int, int]
    pixels: tuple[int, int, int, int]


@dataclass(frozen=True)
class Region:
    """A piece of a page: a title, a paragraph, a table, a figure.

    :param label: the model's label, or ``text`` where it gave none.
    :param text: its text in the model's markup (Markdown, HTML tables, LaTeX).
    :param boxes: where it stands; none if the model did not say.
    """

    label: str
    text: str
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class PageResult:
    """One page, read or not.

    :param number: its number in the document, from 1.
    :param status: how it ended.
    :param width: width of the page image in pixels; 0 if it could not be rendered.
    :param height: height of the page image in pixels.
    :param resolution: the mode it was read in.
    :param text: what the model wrote, with its markup; kept for failed pages too.
    :param markdown: the same as Markdown without markup.
    :param regions: the regions in reading order.
    :param vision_tokens: tokens that stand for the image.
    :param text_tokens: tokens generated, without the end token.
    :param seconds: the page's share of the time the model worked while it was read.
    :param error_code: short name of what went wrong, if anything did.
    :param error: what went wrong and what to do about it.
    :param retryable: nothing is wrong with the page itself; a later try may succeed.
    """

    number: int
    status: PageStatus
    resolution: str
    width: int = 0
    height: int = 0
    text: str = ""
    markdown: str = ""
    regions: tuple[Region, ...] = ()
    vision_tokens: int = 0
    text_tokens: int = 0
    seconds: float = 0.0
    error_code: str | None = None
    error: str | None = None
    retryable: bool = False

    @property
    def compression_ratio(self) -> float | None:
        """Text tokens over vision tokens; None if the page was not read."""
        return self.text_tokens / self.vision_tokens if self.vision_tokens else None


@dataclass(frozen=True)
class DocumentResult:
    """One document, read or not.

    :param status: how it ended.
    :param media_type: its type by content, such as ``application/pdf``; empty if unknown.
    :param page_count: pages the document has, read or not.
    :param pages: the pages asked for, in order.
    :param error_code: short name of what kept the whole document from being read.
    :param error: what went wrong and what to do about it.
    :param retryable: nothing is wrong with the document itself; a later try may succeed.
    """

    status: DocumentStatus
    media_type: str = ""
    page_count: int = 0
    pages: tuple[PageResult, ...] = field(default=())
    error_code: str | None = None
    error: str | None = None
    retryable: bool = False

    @property
    def failed_pages(self) -> int:
        """How many of the pages asked for ended as ``failed``."""
        return sum(page.status is PageStatus.FAILED for page in self.pages)


def status_of(pages: tuple[PageResult, ...]) -> DocumentStatus:
    """A document's status from its pages'."""
    failed = sum(page.status is PageStatus.FAILED for page in pages)
    if not failed and pages:
        return DocumentStatus.DONE
    return DocumentStatus.PARTIAL if failed < len(pages) else DocumentStatus.FAILED
