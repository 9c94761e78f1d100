"""The results of a document as its exports take them: from rows, or from pages that were just read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from airflow_deepseek_ocr.ocr.documents.limits import DEFAULT_DPI
from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.prompts import PROMPTS
from airflow_deepseek_ocr.ocr.results import PICTURE_LABELS, PageResult, PageStatus, Region

#: Left, top, right, bottom in pixels of the page image.
PixelBox = tuple[int, int, int, int]

#: Raised when the bytes of an export change for the same results, so that files are written again.
EXPORT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ExportedRegion:
    """A region of a page.

    :param position: its number in reading order, from 1.
    :param label: the model's label.
    :param text: its text as corrected, or else as read, in the model's markup.
    :param boxes: its places on the page.
    :param confidence: 0 to 1; None if unknown.
    :param word_confidences: percent for each word of the text; None if unknown, or the text was corrected.
    :param description: the model's description of a figure.
    :param is_corrected: whether a person corrected the text.
    """

    position: int
    label: str
    text: str
    boxes: tuple[PixelBox, ...] = ()
    confidence: float | None = None
    word_confidences: tuple[int, ...] | None = None
    description: str | None = None
    is_corrected: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether it is a figure that has a place on the page."""
        return self.label in PICTURE_LABELS and bool(self.boxes)

    @property
    def figure_name(self) -> str:
        """Word for a figure without a description."""
        return self.description or self.label


@dataclass(frozen=True, kw_only=True)
class ExportedPage:
    """A page.

    :param number: from 1.
    :param status: as in ``ocr_pages``.
    :param width: width of the page image in pixels; 0 if it could not be rendered.
    :param height: height of the page image in pixels.
    :param markdown: its text as corrected, or else as read.
    :param regions: in reading order.
    :param rotation: clockwise degrees by which the page was turned before it was read.
    :param score: quality score.
    :param flags: flags of the quality checks.
    :param confidence: 0 to 1; None if unknown.
    :param uncertain_words: words of low confidence, as in ``ocr_pages``.
    :param error_code: why it failed.
    :param is_accepted: whether a person accepted a page that failed the quality checks.
    :param is_corrected: whether a person corrected its text.
    """

    number: int
    status: str
    width: int = 0
    height: int = 0
    markdown: str = ""
    regions: tuple[ExportedRegion, ...] = ()
    rotation: int = 0
    score: float | None = None
    flags: tuple[str, ...] = ()
    confidence: float | None = None
    uncertain_words: tuple[Mapping[str, Any], ...] = ()
    error_code: str | None = None
    is_accepted: bool = False
    is_corrected: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether its text was accepted, by the quality checks or by a person."""
        return self.status != PageStatus.FAILED or self.is_accepted or self.is_corrected

    @property
    def shown_regions(self) -> tuple[ExportedRegion, ...]:
        """The regions of a page whose text was accepted."""
        return self.regions if self.is_usable else ()

    @property
    def figures(self) -> tuple[ExportedRegion, ...]:
        """The regions that are figures with a place on the page."""
        return tuple(region for region in self.shown_regions if region.is_picture)


@dataclass(frozen=True, kw_only=True)
class ExportedDocument:
    """A document with its pages.

    :param uri: its address.
    :param version: the version that was read.
    :param version_key: hash of both.
    :param config_key: hash of the processing configuration.
    :param model: the model.
    :param revision: the model's revision.
    :param prompt: name of the prompt.
    :param media_type: its type by content.
    :param page_count: number of pages of the file.
    :param dpi: resolution at which pages of PDFs were rendered; boxes are in pixels of it.
    :param pages: those with a row, ascending.
    """

    uri: str
    version: str = ""
    version_key: str = ""
    config_key: str = ""
    model: str = ""
    revision: str = ""
    prompt: str = ""
    media_type: str = ""
    page_count: int = 0
    dpi: int = DEFAULT_DPI
    pages: tuple[ExportedPage, ...] = field(default=())

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.uri.rstrip("/").rpartition("/")[2] or self.uri

    @property
    def content_key(self) -> str:
        """Hash of all that its exports are made of, besides the original."""
        values = json.dumps(
            [EXPORT_VERSION, asdict(self)], sort_keys=True, ensure_ascii=True, allow_nan=False
        )
        return hashlib.sha256(values.encode()).hexdigest()


def exported_page(page: PageResult, *, prompt: str = "") -> ExportedPage:
    """Return a page that was just read.

    :param prompt: name of the prompt.
    """
    return effective(
        ExportedPage(
            number=page.number,
            status=page.status.value,
            width=page.width,
            height=page.height,
            markdown=page.markdown,
            regions=exported_regions(page.regions),
            rotation=page.rotation,
            score=page.score,
            flags=tuple(page.flags),
            confidence=page.confidence,
            uncertain_words=tuple(word.to_dict() for word in page.uncertain_words),
            error_code=page.error_code,
        ),
        prompt=prompt,
    )


def exported_regions(regions: Sequence[Region]) -> tuple[ExportedRegion, ...]:
    """Return regions as exports take them."""
    return tuple(
        ExportedRegion(
            position=position,
            label=region.label,
            text=region.text,
            boxes=tuple(ordered(box.pixels) for box in region.boxes),
            confidence=region.confidence,
            word_confidences=region.word_confidences,
            description=region.description,
        )
        for position, region in enumerate(regions, start=1)
    )


def effective(
    page: ExportedPage, *, prompt: str = "", page_correction: str | None = None
) -> ExportedPage:
    """Return a page whose Markdown and regions have the corrections of both.

    :param page: its ``markdown`` is the model's; its regions have their own corrections.
    :param prompt: name of the prompt.
    :param page_correction: a person's text for the whole page. Its blocks become those of the regions if they
        are as many; otherwise the page has one region, which encloses all boxes.
    """
    if page_correction is not None:
        return replace(
            page,
            markdown=page_correction,
            regions=_spread(page.regions, page_correction),
            is_corrected=True,
        )
    if not any(region.is_corrected for region in page.regions):
        return page
    known = PROMPTS.get(prompt.partition(":")[0])
    texts = [Region(region.label, region.text) for region in page.regions]
    markdown = to_markdown(texts, text_in_ref=known is not None and known.text_in_ref)
    return replace(page, markdown=markdown, is_corrected=True)


def corrected_region(region: ExportedRegion, text: str) -> ExportedRegion:
    """Return a region with a person's text, of which the model's confidence says nothing."""
    return replace(region, text=text, is_corrected=True, confidence=None, word_confidences=None)


def ordered(box: Sequence[int]) -> PixelBox:
    """Return a box from top left to bottom right; models may write corners in any order."""
    x1, y1, x2, y2 = box
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _spread(regions: Sequence[ExportedRegion], text: str) -> tuple[ExportedRegion, ...]:
    """Return regions with the text of a whole page."""
    blocks = [block.strip() for block in text.split("\n\n") if block.strip()]
    written = [region for region in regions if region.text.strip()]
    if len(blocks) == len(written):
        texts = dict(zip((region.position for region in written), blocks, strict=True))
        return tuple(
            corrected_region(region, texts[region.position]) if region.position in texts else region
            for region in regions
        )
    pictures = [region for region in regions if region.is_picture and not region.text.strip()]
    boxes = [box for region in written for box in region.boxes]
    whole = ExportedRegion(
        position=1,
        label="text",
        text=text,
        boxes=(enclosing(boxes),) if boxes else (),
        is_corrected=True,
    )
    return (whole, *pictures)


def enclosing(boxes: Sequence[PixelBox]) -> PixelBox:
    """Return the smallest box that has all boxes in it."""
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
