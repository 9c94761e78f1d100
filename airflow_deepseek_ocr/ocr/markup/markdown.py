"""Regions as Markdown for people and language models."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_deepseek_ocr.ocr.results import PICTURE_LABELS, Region

#: Placeholder of a figure without text.
FIGURE_PLACEHOLDER = "<!-- image -->"


def to_markdown(regions: Sequence[Region], *, text_in_ref: bool) -> str:
    """Return the Markdown of a page, without references and boxes.

    :param regions: in reading order.
    :param text_in_ref: whether each region is a line (prompts ``ocr`` and ``locate``), not a block.
    """
    blocks = [
        region.text or (FIGURE_PLACEHOLDER if region.label in PICTURE_LABELS else "")
        for region in regions
    ]
    return ("\n" if text_in_ref else "\n\n").join(block for block in blocks if block)
