"""Places of words, which the model does not give: a region's words are laid on the print in its box.

Rows of the box with print are lines, and the widest gaps between columns with print are those between words.
Where print and text do not go together, lines have equal heights, and words widths in proportion to their
characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from airflow_deepseek_ocr.ocr.confidence.words import find_words
from airflow_deepseek_ocr.ocr.exports.exported import (
    ExportedPage,
    PixelBox,
    enclosing,
)
from airflow_deepseek_ocr.ocr.exports.line_breaks import break_lines
from airflow_deepseek_ocr.ocr.exports.plain_text import plain
from airflow_deepseek_ocr.ocr.page_turns import turn, turn_box

#: Grey level (0 to 255) below which a pixel is print, at most, and its distance from the page's mean.
_DARKEST_PAPER, _CONTRAST = 180, 20
#: Mean grey level below which a page is light print on a dark ground.
_DARK_PAGE = 100
#: Rows of print lower than this share of the highest are no lines: dots, rules, accents.
_LEAST_ROW = 0.4
#: Gaps of at least this share of a line's height are taken for those between words.
_WORD_GAP = 0.2
#: Words of a line whose widths for a character differ by more were not separated by its widest gaps.
_MOST_UNEVEN = 4.0
#: Lines whose widths for a character differ by more were broken elsewhere on the page. Of the lines of a
#: paragraph, the widest letters and the narrowest differ by less.
_MOST_STRETCHED = 1.8
#: Letters of the model's words, at most, that are left out between two words of the plain text.
_MOST_SKIPPED = 40
#: Words of a page, at most; further ones have no places. A newspaper page has 10,000.
_MOST_WORDS = 20_000

_Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PlacedWord:
    """A word in a separate box, in pixels of the page image.

    :param confidence: percent; None if unknown.
    """

    text: str
    box: PixelBox
    confidence: int | None = None


@dataclass(frozen=True)
class PlacedLine:
    """A line of words, in the order in which they are read.

    :param region: the region's position.
    """

    region: int
    words: tuple[PlacedWord, ...]

    @property
    def box(self) -> PixelBox:
        """The box that encloses its words."""
        return enclosing([word.box for word in self.words])

    @property
    def text(self) -> str:
        """Its words, separated by spaces."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class _Token:
    """A word, or one character of a script without spaces.

    :param glued: whether no space separates it from the next one.
    :param confidence: percent.
    """

    text: str
    glued: bool = False
    confidence: int | None = None

    @property
    def units(self) -> int:
        return units(self.text)


def place_words(page: ExportedPage, image: Image.Image | None) -> tuple[PlacedLine, ...]:
    """Return the lines of a page's regions with places.

    :param page: the page; boxes are on the page as it is.
    :param image: the page image; None lays words out by their lengths alone. For a page that was turned
        before it was read, the words are placed on the turned page.
    :return: lines on the page turned clockwise by ``page.rotation``.
    """
    dark = None if image is None else dark_pixels(turn(image, page.rotation))
    lines: list[PlacedLine] = []
    left = _MOST_WORDS
    for region in page.shown_regions:
        if not region.boxes or region.is_picture:
            continue
        box = turn_box(enclosing(region.boxes), page.rotation, (page.width, page.height))
        tokens = [_tokens(line) for line in plain(region.text).splitlines() if line.strip()]
        tokens = _with_confidence(tokens, region.text, region.word_confidences)
        left -= sum(map(len, tokens))
        if left < 0:
            break
        lines += [
            PlacedLine(region.position, words) for words in _place(tokens, box, dark) if words
        ]
    return tuple(lines)


def dark_pixels(image: Image.Image) -> _Mask:
    """Return which pixels of a page are print."""
    grey = np.asarray(image.convert("L"))
    mean = float(grey.mean()) if grey.size else 255.0
    if mean < _DARK_PAGE:
        grey, mean = 255 - grey, 255 - mean
    return grey < min(_DARKEST_PAPER, int(mean) - _CONTRAST)


def units(text: str) -> int:
    """Return the width of text in halves of an em: characters of Chinese, Japanese and Korean have two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def is_right_to_left(text: str) -> bool:
    """Return whether most letters of the text are of a script that is written from right to left."""
    kinds = [unicodedata.bidirectional(each) for each in text]
    return sum(kind in ("R", "AL") for kind in kinds) > kinds.count("L")


def _tokens(line: str) -> list[_Token]:
    tokens: list[_Token] = []
    for word in line.split():
        if len(word) > 1 and any(map(_is_wide, word)):
            parts = [part for part in re.split(_WIDE, word) if part]
            tokens += [_Token(part, glued=True) for part in parts[:-1]]
            tokens.append(_Token(parts[-1]))
        else:
            tokens.append(_Token(word))
    return tokens


def _with_confidence(
    lines: list[list[_Token]], text: str, percents: tuple[int, ...] | None
) -> list[list[_Token]]:
    """Return tokens with the lowest confidence of the words that they consist of.

    :param text: the region's text with its markup.
    :param percents: the confidence of each of its words.
    """
    words = [] if percents is None else find_words(text)
    if percents is None or len(words) != len(percents):
        return lines
    letters = "".join(word.text for word in words)
    of_letters = [percent for word, percent in zip(words, percents, strict=True) for _ in word.text]
    found, at = list[list[_Token]](), 0
    for line in lines:
        found.append([])
        for token in line:
            # Marks and entities of a few letters may come between two tokens.
            start = letters.find(token.text, at, at + len(token.text) + _MOST_SKIPPED)
            if start >= 0:
                at = start + len(token.text)
                found[-1].append(replace(token, confidence=min(of_letters[start:at])))
            else:
                found[-1].append(token)
    return found


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


#: Ideographs, kana, syllables of Hangul and full-width forms, one by one: lines break between any two.
_WIDE = re.compile(
    "([\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60])"
)


def _place(
    lines: list[list[_Token]], box: PixelBox, dark: _Mask | None
) -> list[tuple[PlacedWord, ...]]:
    x1, y1, x2, y2 = box
    if not lines or x2 <= x1 or y2 <= y1:
        return []
    if dark is None or not (part := dark[y1:y2, x1:x2]).any():
        rows = _equal_rows(len(lines), y2 - y1)
        return [
            _words(line, _proportional(line, 0, x2 - x1), (x1, y1), row)
            for row, line in zip(rows, lines, strict=True)
        ]
    rows = [row for row in _rows(part) if row[1] - row[0] >= _LEAST_ROW * _highest(part)]
    if len(rows) == 1 < len(lines):
        rows = _equal_rows(len(lines), y2 - y1)
    elif len(rows) != len(lines) or not _fit(lines, rows, part):
        lines = _rebroken(lines, rows, part)
    return [
        _words(line, _spans(line, part[row[0] : row[1]]), (x1, y1), row)
        for row, line in zip(rows, lines, strict=True)
    ]


def _fit(lines: list[list[_Token]], rows: list[tuple[int, int]], part: _Mask) -> bool:
    """Return whether the text has its line breaks where the page has them."""
    each = []
    for line, (start, end) in zip(lines, rows, strict=True):
        columns = _columns(part[start:end])
        length = sum(token.units + (not token.glued) for token in line)
        each.append((columns[-1][1] - columns[0][0]) / length)
    return max(each) <= _MOST_STRETCHED * min(each)


def _highest(part: _Mask) -> int:
    return max(end - start for start, end in _rows(part))


def _equal_rows(count: int, height: int) -> list[tuple[int, int]]:
    return [(height * row // count, height * (row + 1) // count) for row in range(count)]


def _rebroken(
    lines: list[list[_Token]], rows: list[tuple[int, int]], part: _Mask
) -> list[list[_Token]]:
    """Return the tokens on as many lines as the page has."""
    tokens = [token for line in lines for token in line]
    widths, counts = [], []
    for start, end in rows:
        segments = _columns(part[start:end])
        widths.append(segments[-1][1] - segments[0][0])
        gaps = (after[0] - before[1] for before, after in pairwise(segments))
        counts.append(1 + sum(gap >= _WORD_GAP * (end - start) for gap in gaps))
    lengths = [token.units + (not token.glued) for token in tokens]
    ends = break_lines(lengths, widths, counts)
    return [tokens[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _spans(line: list[_Token], dark: _Mask) -> list[tuple[int, int]]:
    """Return the first and last column of each token of a line, by its widest gaps."""
    segments = _columns(dark)
    if not line or not segments:
        return _proportional(line, 0, dark.shape[1])
    left, right = segments[0][0], segments[-1][1]
    cuts = sorted(
        range(len(segments) - 1),
        key=lambda number: segments[number][1] - segments[number + 1][0],
    )[: len(line) - 1]
    if len(cuts) < len(line) - 1 or any(token.glued for token in line):
        return _proportional(line, left, right)
    cuts.sort()
    starts, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, len(segments) - 1]
    spans = [
        (segments[start][0], segments[end][1]) for start, end in zip(starts, ends, strict=True)
    ]
    if is_right_to_left("".join(token.text for token in line)):
        spans.reverse()
    each = [(end - start) / token.units for (start, end), token in zip(spans, line, strict=True)]
    if max(each) > _MOST_UNEVEN * min(each):
        return _proportional(line, left, right)
    return spans


def _proportional(line: list[_Token], left: int, right: int) -> list[tuple[int, int]]:
    lengths = [token.units for token in line]
    gaps = [int(not token.glued) for token in line]
    unit = (right - left) / max(1, sum(lengths) + sum(gaps[:-1]))
    spans, at = [], float(left)
    for length, gap in zip(lengths, gaps, strict=True):
        spans.append((round(at), round(at + length * unit)))
        at += (length + gap) * unit
    if is_right_to_left("".join(token.text for token in line)):
        return [(left + right - end, left + right - start) for start, end in spans]
    return spans


def _words(
    line: list[_Token],
    spans: Sequence[tuple[int, int]],
    corner: tuple[int, int],
    row: tuple[int, int],
) -> tuple[PlacedWord, ...]:
    """Return the words of a line; characters that no space separates become one word again."""
    (left, top), (first, last) = corner, row
    words: list[PlacedWord] = []
    joined: list[tuple[_Token, tuple[int, int]]] = []
    for number, (token, span) in enumerate(zip(line, spans, strict=True), start=1):
        joined.append((token, span))
        if token.glued and number < len(line):
            continue
        start = min(begin for _, (begin, _) in joined)
        stop = max(start + 1, *(end for _, (_, end) in joined))
        known = [each.confidence for each, _ in joined if each.confidence is not None]
        words.append(
            PlacedWord(
                "".join(each.text for each, _ in joined),
                (left + start, top + first, left + stop, top + last),
                min(known, default=None),
            )
        )
        joined = []
    return tuple(words)


def _columns(dark: _Mask) -> list[tuple[int, int]]:
    return runs(np.asarray(dark.any(axis=0)))


def _rows(dark: _Mask) -> list[tuple[int, int]]:
    return runs(np.asarray(dark.any(axis=1)))


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first index and the one after the last of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
