"""Pages cut into horizontal slices that are recognised one by one, and the slices' texts joined again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from airflow_deepseek_ocr.ocr.edge_density import MIN_EDGE
from airflow_deepseek_ocr.ocr.markup.box_rewriting import (
    Edit,
    EditedText,
    rewrite_boxes,
)
from airflow_deepseek_ocr.ocr.markup.grounding import Corners
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE

if TYPE_CHECKING:
    from PIL import Image

#: Largest distance of a cut from its even position, as a share of a slice's height: far enough for a gap
#: between two paragraphs, near enough for slices of similar size.
_MAX_SHIFT = 0.3
#: Rows of pixels of a slice, at least: the smallest print that the model reads.
_LEAST_ROWS = 8
#: Between the texts of two slices.
SEPARATOR = "\n"


@dataclass(frozen=True, kw_only=True)
class PageSlice:
    """A horizontal slice of a page.

    :param image: the slice, as wide as the page.
    :param top: its upper edge as a share of the page's height.
    :param height: its height as a share of the page's height.
    """

    image: Image.Image
    top: float
    height: float


def can_be_cut(size: tuple[int, int], count: int) -> bool:
    """Return whether a page has enough rows of pixels for so many slices.

    :param size: width and height of the page in pixels.
    :param count: number of slices; 1 for the whole page.
    """
    return count == 1 or size[1] >= _LEAST_ROWS * count


def cut_slices(image: Image.Image, count: int) -> list[PageSlice]:
    """Cut a page into slices from top to bottom, between lines of text where possible.

    :param image: the page, in any mode that Pillow converts to grey.
    :param count: number of slices; an image with fewer pixel rows gives fewer.
    """
    width, height = image.size
    count = max(1, min(count, height))
    # A cut through a line of text loses the line in both slices.
    grey = np.asarray(image.convert("L"), dtype=np.int16)
    edges_in_row = (np.abs(np.diff(grey, axis=1)) > MIN_EDGE).sum(axis=1)
    cuts = [0]
    for number in range(1, count):
        even, shift = round(height * number / count), int(_MAX_SHIFT * height / count)
        start, end = max(cuts[-1] + 1, even - shift), min(height - 1, even + shift + 1)
        cuts.append(_middle_of_widest_gap(edges_in_row, start, end) if start < end else even)
    cuts.append(height)
    return [
        PageSlice(
            image=image.crop((0, top, width, bottom)),
            top=top / height,
            height=(bottom - top) / height,
        )
        for top, bottom in pairwise(cuts)
        if bottom > top
    ]


def join_slices(texts: Sequence[str], slices: Sequence[PageSlice]) -> EditedText:
    """Join the slices' texts with :data:`SEPARATOR`, with their boxes in the coordinates of the page.

    :param texts: model output of each slice, with markup.
    :param slices: the slices, in the same order.
    :return: the text; its edits are those of the texts joined as they are.
    """
    parts, edits, offset = [], [], 0
    for text, page_slice in zip(texts, slices, strict=True):
        part = rewrite_boxes(text, partial(_on_page, page_slice))
        parts.append(part.text)
        edits += [Edit(each.start + offset, each.end + offset, each.length) for each in part.edits]
        offset += len(text) + len(SEPARATOR)
    return EditedText(SEPARATOR.join(parts), tuple(edits))


def _middle_of_widest_gap(edges_in_row: np.ndarray, start: int, end: int) -> int:
    """Return the middle of the longest run of rows with the fewest edges."""
    rows = edges_in_row[start:end]
    least = np.concatenate(([False], rows == rows.min(), [False]))
    borders = np.flatnonzero(least[1:] != least[:-1])
    starts, ends = borders[::2], borders[1::2]
    longest = int((ends - starts).argmax())
    return start + int(starts[longest] + ends[longest]) // 2


def _on_page(page_slice: PageSlice, box: Corners) -> Corners:
    x1, y1, x2, y2 = box
    y1, y2 = (round(page_slice.top * MAX_COORDINATE + y * page_slice.height) for y in (y1, y2))
    return x1, y1, x2, y2
