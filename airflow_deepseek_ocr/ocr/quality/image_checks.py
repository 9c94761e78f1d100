"""Quality checks of boxes, and of the text against the page's image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.thresholds import Thresholds
from airflow_deepseek_ocr.ocr.quality.words import count_printed_characters
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE, PICTURE_LABELS, Region

if TYPE_CHECKING:
    import numpy as np


def check_boxes(regions: Sequence[Region], vision_tokens: int, thresholds: Thresholds) -> set[Flag]:
    """Return the flags of boxes that no page has.

    :param regions: the output's regions.
    :param vision_tokens: tokens of the image; 0 if unknown, or if they have no place on the page.
    :param thresholds: the values from which the flags are raised.
    """
    boxes = [box.normalized for region in regions for box in region.boxes]
    if not boxes:
        return set()
    flags = set()
    outside = sum(min(box) < 0 or max(box) > MAX_COORDINATE for box in boxes)
    inverted = sum(x1 > x2 or y1 > y2 for x1, y1, x2, y2 in boxes)
    if outside / len(boxes) >= thresholds.boxes_wrong:
        flags.add(Flag.BOX_OUTSIDE)
    if inverted / len(boxes) >= thresholds.boxes_wrong:
        flags.add(Flag.BOX_INVERTED)
    most_common = Counter(boxes).most_common(1)[0][1]
    if (
        most_common >= thresholds.boxes_alike_least
        and most_common / len(boxes) >= thresholds.boxes_alike
    ):
        flags.add(Flag.BOXES_ALIKE)
    if vision_tokens and any(
        _characters_per_vision_token(region, vision_tokens) >= thresholds.crowded
        for region in regions
    ):
        flags.add(Flag.BOX_CROWDED)
    return flags


def check_text_amount(
    body: str, regions: Sequence[Region], edge_density: EdgeDensity, thresholds: Thresholds
) -> set[Flag]:
    """Return the flags of text on a blank page, and of no text on a page that is black or has some.

    :param body: the text of the regions.
    :param regions: the output's regions.
    :param edge_density: the measure of the page's image.
    :param thresholds: the values from which the flags are raised.
    """
    characters = sum(map(str.isalnum, body))
    if edge_density.is_dark and not characters:
        return {Flag.DARK_PAGE}
    # Letters as large as a hand have few edges in a row, but few of them fit on a page.
    most = thresholds.blank_characters if edge_density.edges else 0
    if edge_density.text_edges < thresholds.blank_text_edges and characters > most:
        return {Flag.TEXT_ON_BLANK}
    has_picture = any(region.label in PICTURE_LABELS for region in regions)
    if (
        edge_density.text_edges >= thresholds.printed_text_edges
        and edge_density.text_edges >= thresholds.text_edges_per_character * characters
        and not has_picture
    ):
        return {Flag.NO_TEXT}
    return set()


def check_text_positions(
    regions: Sequence[Region], edge_density: EdgeDensity, thresholds: Thresholds
) -> set[Flag]:
    """Return the flag of text whose boxes lie where the image has no text.

    :param regions: the output's regions.
    :param edge_density: the measure of the page's image.
    :param thresholds: the values from which the flag is raised.
    """
    edge_map = edge_density.edge_map
    if edge_map is None:
        return set()
    boxed = [(region, count_printed_characters(region.text)) for region in regions if region.boxes]
    total = sum(characters for _, characters in boxed)
    misplaced = sum(
        characters
        for region, characters in boxed
        if characters and _edges_in(region, edge_map) < thresholds.off_print_edges * characters
    )
    return {Flag.TEXT_OFF_PRINT} if misplaced > thresholds.off_print * total else set()


def _characters_per_vision_token(region: Region, vision_tokens: int) -> float:
    """Return the region's characters to a vision token within its boxes; 0 without boxes."""
    if not region.boxes:
        return 0.0
    # A box without height still has an area for this purpose.
    area = sum(
        max(1, abs(x2 - x1)) * max(1, abs(y2 - y1))
        for x1, y1, x2, y2 in (box.normalized for box in region.boxes)
    )
    return len(region.text) / (vision_tokens * area / (MAX_COORDINATE + 1) ** 2)


def _edges_in(region: Region, edge_map: np.ndarray) -> int:
    """Return the edges in the region's boxes and one field around them: boxes are not exact to the pixel."""
    fields = len(edge_map) / (MAX_COORDINATE + 1)
    found = 0
    for box in region.boxes:
        x1, y1, x2, y2 = (min(len(edge_map), max(0, int(each * fields))) for each in box.normalized)
        rows = slice(max(0, min(y1, y2) - 1), max(y1, y2) + 2)
        columns = slice(max(0, min(x1, x2) - 1), max(x1, x2) + 2)
        found += int(edge_map[rows, columns].sum())
    return found
