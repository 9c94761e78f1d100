"""What was read, as frozen dataclasses: region, page, document."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Label of a region for which the model wrote none.
PLAIN_LABEL = "text"
#: Labels of regions that are pictures.
PICTURE_LABELS = frozenset({"image", "figure"})
#: Largest coordinate of a normalised box (section 3.5 of the DeepSeek-OCR paper: 1000 bins).
MAX_COORDINATE = 999


class PageStatus(StrEnum):
    """How a page ended."""

    OK = "ok"  #: read, and nothing was found against the reading
    RECOVERED = "recovered"  #: an earlier reading was refused, this one is not
    TEXT_LAYER = "text_layer"  #: the text is the page's own
    FAILED = "failed"  #: not read, or no reading was good enough; the best one is kept


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


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One of the readings of a page.

    :param how: a resolution mode's name, or the name of the step by which the page was read again.
    :param resolution: the mode it was read in; empty for the text layer.
    :param score: 0 (surely degenerate) to 1; 0 if there was no reading.
    :param flags: what the judge found.
    :param vision_tokens: tokens that stood for the image, or its strips.
    :param text_tokens: tokens generated.
    :param seconds: its share of the time the model worked.
    :param error_code: why there was no reading.
    """

    how: str
    resolution: str
    score: float
    flags: tuple[str, ...] = ()
    vision_tokens: int = 0
    text_tokens: int = 0
    seconds: float = 0.0
    error_code: str | None = None


@dataclass(frozen=True, kw_only=True)
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
    :param seconds: the page's share of the time the model worked while it was read, all attempts
        together.
    :param score: the judge's, 0 (surely degenerate) to 1; None if the page was not read.
    :param flags: what the judge found.
    :param agreement: words common to the text and the page's own text layer, as F1; None where there
        is no sound layer.
    :param agreement_ordered: the same in the same order.
    :param attempts: all readings of the page, the kept one among them, in order.
    :param vision_tokens_saved: vision tokens that the best mode would have taken, less those of all
        attempts; None unless the resolution was chosen automatically.
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
    score: float | None = None
    flags: tuple[str, ...] = ()
    agreement: float | None = None
    agreement_ordered: float | None = None
    attempts: tuple[Attempt, ...] = ()
    vision_tokens_saved: int | None = None
    error_code: str | None = None
    error: str | None = None
    retryable: bool = False

    @property
    def compression_ratio(self) -> float | None:
        """Text tokens over vision tokens; None if the page was not read."""
        return self.text_tokens / self.vision_tokens if self.vision_tokens else None


@dataclass(frozen=True)
class DocumentResult:
    """How a document ended.

    :param status: how it ended.
    :param pages: how many of the pages asked for have a row, read or not.
    :param failed_pages: how many of them ended as ``failed``.
    :param error_code: short name of what kept the whole document from being read.
    :param error: what went wrong and what to do about it.
    :param retryable: nothing is wrong with the document itself; a later try may succeed.
    """

    status: DocumentStatus
    pages: int = 0
    failed_pages: int = 0
    error_code: str | None = None
    error: str | None = None
    retryable: bool = False


def status_of(pages: int, failed_pages: int) -> DocumentStatus:
    """A document's status from how many pages it has, and how many of them failed."""
    if not failed_pages and pages:
        return DocumentStatus.DONE
    return DocumentStatus.PARTIAL if failed_pages < pages else DocumentStatus.FAILED
