"""Parser of model output: strict, without evaluation, and without loss of text.

The format (README of the published scripts)::

    <|ref|>label or text<|/ref|><|det|>[[x1, y1, x2, y2], ...]<|/det|>content

Broken markup stays in the text unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from airflow_deepseek_ocr.ocr.prompts import DET_CLOSE, DET_OPEN, REF_CLOSE, REF_OPEN
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE, PLAIN_LABEL, Box, Region

Corners = tuple[int, int, int, int]
_Boxes = tuple[Corners, ...]

_COORDINATE = r"\s*([+-]?(?:\d{1,6}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,2})?)\s*"
#: Largest coordinate of either sign that is kept; a column of the database holds it.
_MOST = 999_999
#: A box as the model writes it.
BOX = re.compile(r"\[" + ",".join([_COORDINATE] * 4) + r"\]")
_BOXES = re.compile(rf"\s*\[\s*{BOX.pattern}(?:\s*,\s*{BOX.pattern})*\s*\]\s*")
#: Anything like boxes between their markers. The bounded length keeps the time linear where the closing
#: marker is missing.
_MARKED_BOXES = re.compile(
    re.escape(DET_OPEN) + r"[\s\[\],\d.+eE-]{0,20000}" + re.escape(DET_CLOSE)
)


def parse(text: str, *, text_in_ref: bool, width: int, height: int) -> tuple[Region, ...]:
    """Return the regions of a page in the order of the output.

    :param text: model output with its markup.
    :param text_in_ref: whether the reference spans have the page's text, not labels
        (:attr:`~airflow_deepseek_ocr.ocr.prompts.Prompt.text_in_ref`).
    :param width: width of the page image in pixels.
    :param height: height of the page image in pixels.
    """
    regions: list[Region] = []
    for reference, boxes, content in _spans(text):
        placed = tuple(Box(box, _to_pixels(box, width, height)) for box in boxes)
        content = content.strip()
        if reference is None:
            if content:
                regions.append(Region(PLAIN_LABEL, content))
        elif text_in_ref:
            regions.append(Region(PLAIN_LABEL, reference.strip(), placed))
            if content:
                regions.append(Region(PLAIN_LABEL, content))
        else:
            regions.append(Region(reference.strip() or PLAIN_LABEL, content, placed))
    return tuple(regions)


def replace_boxes(text: str, convert: Callable[[Corners], Corners]) -> str:
    """Return model output with each box between markers replaced.

    :param text: model output with its markup.
    :param convert: returns the box to write for one in coordinates of 0 to 999.
    """

    def replace(match: re.Match[str]) -> str:
        return f"[{', '.join(map(str, convert(coordinates(match))))}]"

    return _MARKED_BOXES.sub(lambda boxes: BOX.sub(replace, boxes[0]), text)


def _spans(text: str) -> Iterator[tuple[str | None, _Boxes, str]]:
    """Yield (reference, boxes, content after it) of each well-formed reference; None before the first."""
    reference: str | None = None
    boxes: _Boxes = ()
    content_start = search_from = 0
    while (start := text.find(REF_OPEN, search_from)) >= 0:
        span = _reference_at(text, start)
        if span is None:
            search_from = start + len(REF_OPEN)
            continue
        yield reference, boxes, text[content_start:start]
        reference, boxes, content_start = span
        search_from = content_start
    yield reference, boxes, text[content_start:]


def _reference_at(text: str, start: int) -> tuple[str, _Boxes, int] | None:
    """Return reference, boxes and end of the markup at ``start``; None unless it is well-formed."""
    start += len(REF_OPEN)
    close = text.find(REF_CLOSE, start)
    det = close + len(REF_CLOSE)
    if close < 0 or not text.startswith(DET_OPEN, det) or REF_OPEN in text[start:close]:
        return None
    det += len(DET_OPEN)
    end = text.find(DET_CLOSE, det)
    if end < 0 or not _BOXES.fullmatch(text, det, end):
        return None
    boxes = tuple(coordinates(match) for match in BOX.finditer(text, det, end))
    return text[start:close], boxes, end + len(DET_CLOSE)


def coordinates(match: re.Match[str]) -> tuple[int, int, int, int]:
    """Return the coordinates of a box in whole numbers.

    A box whose numbers are all fractions of 1 is one in shares of the page.

    :param match: a match of :data:`BOX`.
    """
    written = match.groups()
    numbers = [float(each) for each in written]
    if all(0 <= number <= 1 for number in numbers) and any("." in each for each in written):
        numbers = [number * MAX_COORDINATE for number in numbers]
    x1, y1, x2, y2 = (round(min(max(number, -_MOST), _MOST)) for number in numbers)
    return x1, y1, x2, y2


def _to_pixels(
    box: tuple[int, int, int, int], width: int, height: int
) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = box
    return (_scale(x1, width), _scale(y1, height), _scale(x2, width), _scale(y2, height))


def _scale(coordinate: int, size: int) -> int:
    return round(min(max(coordinate, 0), MAX_COORDINATE) * size / MAX_COORDINATE)
