"""The text of a page with a person's corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_deepseek_ocr.ocr.markup.markdown import to_markdown
from airflow_deepseek_ocr.ocr.prompts import get_prompt
from airflow_deepseek_ocr.ocr.results import PageStatus, Region


@dataclass(frozen=True)
class ReviewedRegion:
    """A region as it is stored.

    :param position: reading order, from 0.
    :param label: its label.
    :param text: the model's text.
    :param reviewed_text: the text that a person wrote instead; None without a correction.
    """

    position: int
    label: str
    text: str
    reviewed_text: str | None = None

    @property
    def best_text(self) -> str:
        """The corrected text, or the model's."""
        return self.text if self.reviewed_text is None else self.reviewed_text


def are_lines(prompt: str, status: str) -> bool:
    """Return whether the regions of a page are lines, not blocks.

    :param prompt: the prompt of the document.
    :param status: the page's status; regions of embedded text are lines.
    """
    return status == PageStatus.TEXT_LAYER or get_prompt(prompt).text_in_ref


def compose(regions: Sequence[ReviewedRegion], *, are_lines: bool) -> str | None:
    """Return the Markdown of a page with its corrected regions; None if no region is corrected.

    :param regions: all regions of the page in reading order.
    :param are_lines: see :func:`are_lines`.
    """
    if all(region.reviewed_text is None for region in regions):
        return None
    best = [Region(region.label, region.best_text) for region in regions]
    return to_markdown(best, text_in_ref=are_lines)


def is_corrected_as_a_whole(
    reviewed_text: str | None, regions: Sequence[ReviewedRegion], *, are_lines: bool
) -> bool:
    """Return whether the page's corrected text is more than its corrected regions.

    :param reviewed_text: the page's corrected text.
    :param regions: all regions of the page in reading order.
    :param are_lines: see :func:`are_lines`.
    """
    return reviewed_text is not None and reviewed_text != compose(regions, are_lines=are_lines)


def texts_with_tables(
    regions: Sequence[ReviewedRegion], whole: str | None, status: str
) -> list[tuple[int | None, str]]:
    """Return the texts of a page whose tables are stored, with the position of each one's region.

    :param regions: all regions of the page in reading order.
    :param whole: the page's text if it was corrected as a whole.
    :param status: the page's status. Embedded text has no markup.
    """
    if whole is not None:
        return [(None, whole)]
    is_embedded = status == PageStatus.TEXT_LAYER
    return [
        (region.position, region.best_text)
        for region in regions
        if not is_embedded or region.reviewed_text is not None
    ]
