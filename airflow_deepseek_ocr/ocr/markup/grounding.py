"""Parser of model output: strict, without evaluation, and without loss of text.

The format (README of the published scripts)::

    <|ref|>label or text<|/ref|><|det|>[[x1, y1, x2, y2], ...]<|/det|>content

Broken markup stays in the text unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from airflow_deepseek_ocr.ocr.prompts import DET_CLOSE, DET_OPEN, REF_CLOSE, REF_OPEN
from airflow_deepseek_ocr.ocr.results import MAX_COORDINATE, PLAIN_LABEL, Box, Region

Corners = tuple[int, int, int, int]

_COORDINATE = r"\s*([+-]?(?:\d{1,6}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,2})?)\s*"
#: Largest coordinate of either sign that is kept; a column of the database holds it.
_MOST = 999_999
#: A box as the model writes it.
BOX = re.compile(r"\[" + ",".join([_COORDINATE] * 4) + r"\]")
_BOXES = re.compile(rf"\s*\[\s*{BOX.pattern}(?:\s*,\s*{BOX.pattern})*\s*\]\s*")


@dataclass(frozen=True)
class PlacedRegion:
    """A region and its place in the output.

    :param region: the region.
    :param start: the first character of its text.
    :param boxes: first and last character + 1 of each of its boxes.
    """

    region: Region
    start: int
    boxes: tuple[tuple[int, int], ...] = ()


class _Span(NamedTuple):
    """A reference, its boxes and the content after it: where each of them starts and ends.

    :param reference: None for the text before the first reference.
    """

    reference: tuple[int, int] | None
    boxes: tuple[re.Match[str], ...]
    content: tuple[int, int]


def parse(text: str, *, text_in_ref: bool, width: int, height: int) -> tuple[Region, ...]:
    """Return the regions of a page in the order of the output.

    :param text: model output with its markup.
    :param text_in_ref: whether the reference spans have the page's text, not labels
        (:attr:`~airflow_deepseek_ocr.ocr.prompts.Prompt.text_in_ref`).
    :param width: width of the page image in pixels.
    :param height: height of the page image in pixels.
    """
    placed = parse_with_places(text, text_in_ref=text_in_ref, width=width, height=height)
    return tuple(each.region for each in placed)


def parse_with_places(
    text: str, *, text_in_ref: bool, width: int, height: int
) -> tuple[PlacedRegion, ...]:
    """Return the regions of a page, as :func:`parse`, with their places in ``text``."""
    placed: list[PlacedRegion] = []
    for reference, matches, content in _spans(text):
        start, body = _stripped(text, content)
        if reference is None:
            if body:
                placed.append(PlacedRegion(Region(PLAIN_LABEL, body), start))
            continue
        boxes = tuple(Box(box, _to_pixels(box, width, height)) for box in map(coordinates, matches))
        spans = tuple(match.span() for match in matches)
        inner_start, inner = _stripped(text, reference)
        if not text_in_ref:
            region = Region(inner or PLAIN_LABEL, body, boxes)
            placed.append(PlacedRegion(region, start, spans))
            continue
        placed.append(PlacedRegion(Region(PLAIN_LABEL, inner, boxes), inner_start, spans))
        if body:
            placed.append(PlacedRegion(Region(PLAIN_LABEL, body), start))
    return tuple(placed)


def _stripped(text: str, span: tuple[int, int]) -> tuple[int, str]:
    """Return where a part of the text starts without spaces around it, and the part."""
    part = text[slice(*span)]
    return span[0] + len(part) - len(part.lstrip()), part.strip()


def _spans(text: str) -> Iterator[_Span]:
    """Yield each well-formed reference with the content after it, and first the text before them."""
    reference: tuple[int, int] | None = None
    boxes: tuple[re.Match[str], ...] = ()
    content_start = search_from = 0
    while (start := text.find(REF_OPEN, search_from)) >= 0:
        span = _reference_at(text, start)
        if span is None:
            search_from = start + len(REF_OPEN)
            continue
        yield _Span(reference, boxes, (content_start, start))
        reference, boxes, content_start = span
        search_from = content_start
    yield _Span(reference, boxes, (content_start, len(text)))


def _reference_at(
    text: str, start: int
) -> tuple[tuple[int, int], tuple[re.Match[str], ...], int] | None:
    """Return reference, boxes and end of the markup at ``start``; None unless it is well-formed."""
    start += len(REF_OPEN)
    # No search goes beyond the next reference, so that broken markup takes linear time.
    following = text.find(REF_OPEN, start)
    close = text.find(REF_CLOSE, start, following if following >= 0 else len(text))
    det = close + len(REF_CLOSE)
    if close < 0 or not text.startswith(DET_OPEN, det):
        return None
    det += len(DET_OPEN)
    boxes = _BOXES.match(text, det)
    if boxes is None or not text.startswith(DET_CLOSE, boxes.end()):
        return None
    end = boxes.end()
    return (start, close), tuple(BOX.finditer(text, det, end)), end + len(DET_CLOSE)


def coordinates(match: re.Match[str]) -> Corners:
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
