"""A page cut into strips, each of which is read by itself, and their texts put together again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from airflow_deepseek_ocr.ocr.prompts import DET_CLOSE, DET_OPEN
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE

if TYPE_CHECKING:
    from PIL import Image

#: How far from the even place a cut may be, as a share of a strip's height.
_REACH = 0.3
#: Difference of two neighbouring pixels, in grey levels, that print has.
_EDGE = 32
_BOXES = re.compile(re.escape(DET_OPEN) + r"[\s\[\],\d-]{0,20000}" + re.escape(DET_CLOSE))
_BOX = re.compile(r"\[\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*,\s*(-?\d{1,6})\s*\]")


@dataclass(frozen=True)
class Strip:
    """A part of a page over its whole width.

    :param image: it.
    :param top: its upper edge as a share of the page's height.
    :param height: its height as a share of the page's.
    """

    image: Image.Image
    top: float
    height: float


def cut(image: Image.Image, parts: int) -> list[Strip]:
    """Strips from top to bottom, cut where there is the least print.

    :param parts: how many; fewer where the image has fewer rows.
    """
    width, height = image.size
    parts = max(1, min(parts, height))
    # Text crossed by a cut is lost to both strips, so each one goes between two lines.
    grey = np.asarray(image.convert("L"), dtype=np.int16)
    print_in_row = (np.abs(np.diff(grey, axis=1)) > _EDGE).sum(axis=1)
    cuts = [0]
    for number in range(1, parts):
        even, reach = round(height * number / parts), int(_REACH * height / parts)
        start, end = max(cuts[-1] + 1, even - reach), min(height - 1, even + reach + 1)
        cuts.append(_middle_of_the_emptiest(print_in_row, start, end) if start < end else even)
    cuts.append(height)
    return [
        Strip(image.crop((0, top, width, bottom)), top / height, (bottom - top) / height)
        for top, bottom in pairwise(cuts)
        if bottom > top
    ]


def _middle_of_the_emptiest(print_in_row: np.ndarray, start: int, end: int) -> int:
    """The row in the middle of the longest run of rows with the least print."""
    rows = print_in_row[start:end]
    least = np.concatenate(([False], rows == rows.min(), [False]))
    borders = np.flatnonzero(least[1:] != least[:-1])
    starts, ends = borders[::2], borders[1::2]
    longest = int((ends - starts).argmax())
    return start + int(starts[longest] + ends[longest]) // 2


def join(texts: Sequence[str], strips: Sequence[Strip]) -> str:
    """The strips' texts one below the other, with their boxes on the whole page."""
    return "\n".join(map(_on_the_page, texts, strips))


def _on_the_page(text: str, strip: Strip) -> str:
    return _BOXES.sub(lambda match: _moved(match[0], strip), text)


def _moved(boxes: str, strip: Strip) -> str:
    def move(match: re.Match[str]) -> str:
        x1, y1, x2, y2 = map(int, match.groups())
        y1, y2 = (round(strip.top * MAX_COORDINATE + y * strip.height) for y in (y1, y2))
        return f"[{x1}, {y1}, {x2}, {y2}]"

    return _BOX.sub(move, boxes)
