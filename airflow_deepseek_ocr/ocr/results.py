"""Results as frozen dataclasses: region, page, document."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: Label of a region for which the model wrote none.
PLAIN_LABEL = "text"
#: Labels of regions that are pictures.
PICTURE_LABELS = frozenset({"image", "figure"})
#: ``how`` of the entry among a page's attempts that counts the description of its pictures.
FIGURES = "figures"
#: Largest coordinate of a normalised box (section 3.5 of the DeepSeek-OCR paper: 1000 bins).
MAX_COORDINATE = 999


class PageStatus(StrEnum):
    """Outcome of a page."""

    OK = "ok"  #: the output was accepted
    RECOVERED = "recovered"  #: an earlier attempt was rejected, and this one accepted
    TEXT_LAYER = "text_layer"  #: the text is the page's embedded text
    FAILED = "failed"  #: not recognised, or no attempt accepted; the best one is stored


class DocumentStatus(StrEnum):
    """Outcome of a document: all pages, some of them, or none."""

    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"


class Doubt(StrEnum):
    """Why a word is uncertain."""

    LOW_CONFIDENCE = "low_confidence"  #: the model gave it a low probability
    UNCERTAIN_NUMBER = (
        "uncertain_number"  #: it has digits, and a confidence below the threshold of numbers
    )
    ATTEMPTS_DIFFER = "attempts_differ"  #: another attempt at the page has another word


@dataclass(frozen=True)
class Box:
    """A bounding box (x1, y1, x2, y2) in the model's coordinates and in pixels.

    :param normalized: 0..999 over the page's width and height, exactly as the model wrote it, valid or not.
    :param pixels: the same in pixels of the page image, clipped to it.
    :param confidence: the model's probability of its four numbers, 0 to 1; None if it is not known.
    """

    normalized: tuple[int, int, int, int]
    pixels: tuple[int, int, int, int]
    confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the box for JSON; without ``confidence`` if that is None."""
        return _without_none(self, "confidence")


@dataclass(frozen=True)
class Region:
    """A piece of a page: a title, a paragraph, a table, a figure.

    :param label: the model's label, or ``text`` where it gave none.
    :param text: its text in the model's markup (Markdown, HTML tables, LaTeX).
    :param boxes: its positions; none if the model gave none.
    :param confidence: the mean confidence of its words, weighted by their characters, 0 to 1; None if the
        engine returns no probabilities, or the region has no words.
    :param word_confidences: confidence of each of its words in percent, in the order of the text; None if
        the engine returns no probabilities.
    :param description: what a picture shows; None if it was not described.
    """

    label: str
    text: str
    boxes: tuple[Box, ...] = ()
    confidence: float | None = None
    word_confidences: tuple[int, ...] | None = None
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class UncertainWord:
    """A word of a page of which the model was not sure.

    :param word: the word; a long one is cut.
    :param confidence: 0 to 1.
    :param offset: its place in the page's text with markup, in characters from 0.
    :param length: its length there in characters.
    :param region: position of its region, from 0.
    :param reasons: why it is uncertain.
    """

    word: str
    confidence: float
    offset: int
    length: int
    region: int
    reasons: tuple[Doubt, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the word for JSON."""
        return vars(self) | {"reasons": [reason.value for reason in self.reasons]}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at a page.

    :param how: the resolution mode of the first attempt, or the name of the retry step. ``turn`` compares
        turns of the page and has no output; its score is 0, its rotation the turn that it found.
    :param resolution: the resolution mode; empty for the text layer.
    :param rotation: degrees by which the page was turned clockwise.
    :param score: 0 (degenerate beyond doubt) to 1; 0 without output.
    :param flags: flags of the quality checks.
    :param vision_tokens: tokens of the image, or of its slices together.
    :param text_tokens: generated tokens.
    :param seconds: its share of the model's time.
    :param error_code: why it has no output.
    :param confidence: the mean confidence of its words, 0 to 1; None if it is not known.
    :param text: its output with its markup; None for the stored attempt, whose text is the page's.
    """

    how: str
    resolution: str
    score: float
    flags: tuple[str, ...] = ()
    vision_tokens: int = 0
    text_tokens: int = 0
    seconds: float = 0.0
    error_code: str | None = None
    rotation: int = 0
    confidence: float | None = None
    text: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the attempt for JSON; without ``confidence`` and ``text`` if these are None."""
        return _without_none(self, "confidence", "text")


@dataclass(frozen=True, kw_only=True)
class PageResult:
    """The result of a page, recognised or not.

    :param number: its number in the document, from 1.
    :param status: its outcome.
    :param width: width of the page image in pixels; 0 if it could not be rendered.
    :param height: height of the page image in pixels.
    :param resolution: the resolution mode; empty for the text layer.
    :param text: the model's output with its markup, also of failed pages.
    :param markdown: the same as Markdown without markup.
    :param regions: its regions in reading order.
    :param vision_tokens: tokens of the image.
    :param text_tokens: generated tokens, without the end token.
    :param seconds: the page's share of the model's time, all attempts together.
    :param score: 0 (degenerate beyond doubt) to 1; None for a page that was not recognised.
    :param flags: flags of the quality checks.
    :param agreement: words common to the text and the page's text layer, as F1; None without a usable layer.
    :param agreement_ordered: the same for words in the same order.
    :param confidence: the mean confidence of its words, weighted by their characters, 0 to 1; None if the
        engine returns no probabilities, the text is embedded text, or there are no words.
    :param rotation: degrees by which the page was turned clockwise before it was recognised: 0, 90, 180
        or 270. Boxes are on the page as it is.
    :param uncertain_words: the words of which the model was least sure, in the order of the text.
    :param attempts: all attempts in order, the stored one among them.
    :param attachments: names of attached files, which were not read; on the first page those of the document.
    :param vision_tokens_saved: vision tokens of the best mode minus those of all attempts; None unless the
        resolution was ``auto``.
    :param error_code: an :class:`~airflow_deepseek_ocr.exceptions.ErrorCode` or a flag; None unless it
        failed.
    :param error: the failure and what to do about it.
    :param retryable: whether the page itself is fine, so that a retry of the task may succeed.
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
    confidence: float | None = None
    rotation: int = 0
    uncertain_words: tuple[UncertainWord, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    attachments: tuple[str, ...] = ()
    vision_tokens_saved: int | None = None
    error_code: str | None = None
    error: str | None = None
    retryable: bool = False

    @property
    def read_count(self) -> int:
        """How often the page was recognised as a whole."""
        return sum(attempt.how != FIGURES for attempt in self.attempts)

    @property
    def compression_ratio(self) -> float | None:
        """Text tokens to a vision token; None for a page that was not recognised."""
        return self.text_tokens / self.vision_tokens if self.vision_tokens else None


@dataclass(frozen=True)
class DocumentResult:
    """The result of a document.

    :param status: its outcome.
    :param pages: number of selected pages that have a row.
    :param failed_pages: number of them with the status ``failed``.
    :param error_code: why the whole document failed.
    :param error: the failure and what to do about it.
    :param retryable: whether the document itself is fine, so that a retry of the task may succeed.
    """

    status: DocumentStatus
    pages: int = 0
    failed_pages: int = 0
    error_code: str | None = None
    error: str | None = None
    retryable: bool = False


def status_of(pages: int, failed_pages: int) -> DocumentStatus:
    """Return a document's status.

    :param pages: number of its pages.
    :param failed_pages: number of them that failed.
    """
    if not failed_pages and pages:
        return DocumentStatus.DONE
    return DocumentStatus.PARTIAL if failed_pages < pages else DocumentStatus.FAILED


def _without_none(value: Any, *names: str) -> dict[str, Any]:
    """Return the fields of a dataclass, without those of these names that are None."""
    return {
        name: each for name, each in vars(value).items() if name not in names or each is not None
    }
