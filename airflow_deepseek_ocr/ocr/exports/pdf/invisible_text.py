"""Invisible text of a PDF page: words in boxes, as a content stream and the map of its characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_deepseek_ocr.ocr.exports.characters import replace_forbidden
from airflow_deepseek_ocr.ocr.exports.exported import PixelBox
from airflow_deepseek_ocr.ocr.exports.pdf.glyphless_font import ASCENT, GLYPH_WIDTH
from airflow_deepseek_ocr.ocr.exports.word_places import PlacedLine, is_right_to_left

#: Six numbers ``a b c d e f`` of a transformation (ISO 32000-2, 8.3.3).
Matrix = tuple[float, float, float, float, float, float]

#: Name of the font in the resources of pages.
FONT_NAME = "DeepSeekOCRText"
#: Characters of the map in one block, at most (Adobe Technical Note 5014, bfchar).
_BLOCK = 100
#: Different characters of a document, at most: codes have two bytes, and 0 and 1 are taken.
_MOST_CHARACTERS = 65_000


@dataclass(frozen=True)
class PageText:
    """The words of a page, on the page turned clockwise by ``rotation``.

    :param width: width in pixels of the page image before it is turned.
    :param height: its height.
    :param rotation: degrees.
    :param lines: words with their boxes.
    """

    width: int
    height: int
    rotation: int
    lines: tuple[tuple[tuple[str, PixelBox], ...], ...]

    @classmethod
    def of(cls, lines: Iterable[PlacedLine], size: tuple[int, int], rotation: int = 0) -> PageText:
        """Return the text of placed lines.

        :param size: width and height of the page image before it is turned.
        :param rotation: clockwise degrees.
        """
        words = tuple(tuple((word.text, word.box) for word in line.words) for line in lines)
        return cls(*size, rotation, words)

    def as_list(self) -> list[Any]:
        """Return plain JSON types; :meth:`parse` is the inverse."""
        words = [[[text, *box] for text, box in line] for line in self.lines]
        return [self.width, self.height, self.rotation, words]

    @classmethod
    def parse(cls, values: Sequence[Any]) -> PageText:
        """Return the text of :meth:`as_list`."""
        width, height, rotation, lines = values
        words = tuple(
            tuple((text, (x1, y1, x2, y2)) for text, x1, y1, x2, y2 in line) for line in lines
        )
        return cls(width, height, rotation, words)


class InvisibleText:
    """Writes content streams, and collects the characters of a document on the way.

    Each character in use gets a separate code. A map by ranges would break those beyond the Basic
    Multilingual Plane in Poppler and pdf.js.
    """

    def __init__(self) -> None:
        self._codes = {" ": 1}

    def stream(self, page: PageText, matrix: Matrix, font: str = FONT_NAME) -> bytes:
        """Return a content stream that leaves the page's own state as it was.

        :param page: the words.
        :param matrix: from pixels of the page image, with y down, to the page's user space.
        :param font: name of the font in the page's resources.
        """
        parts = ["q", f"{_numbers(product(turn_back(page), matrix))} cm BT 3 Tr"]
        for line in page.lines:
            parts += self._line(line, font)
        return "\n".join([*parts, "ET Q\n"]).encode("ascii")

    def character_map(self) -> bytes:
        """Return the map from codes to Unicode of all streams so far."""
        rows = [
            f"<{code:04x}> <{character.encode('utf-16-be').hex()}>"
            for character, code in self._codes.items()
        ]
        blocks = (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
        body = "\n".join(
            "\n".join([f"{len(block)} beginbfchar", *block, "endbfchar"]) for block in blocks
        )
        return (
            "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
            "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
            "/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n"
            f"1 begincodespacerange <0000> <FFFF> endcodespacerange\n{body}\n"
            "endcmap CMapName currentdict /CMap defineresource pop end end\n"
        ).encode("ascii")

    def _line(self, line: Sequence[tuple[str, PixelBox]], font: str) -> Iterable[str]:
        # Readers put text in reading order by its place; they expect it as it is seen, from left to right.
        backwards = is_right_to_left("".join(text for text, _ in line))
        words = sorted(line, key=lambda word: word[1][0]) if backwards else line
        for number, (text, (x1, y1, x2, y2)) in enumerate(words, start=1):
            shown = replace_forbidden(_reversed(text) if is_right_to_left(text) else text)
            if not shown:
                continue
            size = max(y2 - y1, 1)
            stretch = 100 * max(x2 - x1, 1) / (GLYPH_WIDTH / 1000 * size * len(shown))
            code = self._encoded(shown if number == len(words) else f"{shown} ")
            # The matrix of the page turns y down; this one turns the letters up again.
            baseline = y1 + ASCENT / 1000 * size
            yield (
                f"/{font} {size} Tf {stretch:.3f} Tz 1 0 0 -1 {x1} {baseline:.2f} Tm <{code}> Tj"
            )

    def _encoded(self, text: str) -> str:
        return "".join(f"{self._code(character):04x}" for character in text)

    def _code(self, character: str) -> int:
        if character not in self._codes and len(self._codes) >= _MOST_CHARACTERS:
            return self._codes[" "]
        return self._codes.setdefault(character, len(self._codes) + 1)


def turn_back(page: PageText) -> Matrix:
    """Return the transformation from pixels of the turned page to those of the page as it is."""
    width, height = page.width, page.height
    match page.rotation % 360:
        case 90:
            return 0, -1, 1, 0, 0, height
        case 180:
            return -1, 0, 0, -1, width, height
        case 270:
            return 0, 1, -1, 0, width, 0
    return 1, 0, 0, 1, 0, 0


def to_user_space(
    box: tuple[float, float, float, float], rotation: int, size: tuple[int, int]
) -> Matrix:
    """Return the transformation from pixels of a page image to the page's user space.

    :param box: the part of the page that is shown, in user space: left, bottom, right, top.
    :param rotation: the page's ``/Rotate``, clockwise degrees.
    :param size: width and height of the image.
    """
    (left, bottom, right, top), (columns, rows) = box, size
    width, height = right - left, top - bottom
    match rotation % 360:
        case 90:
            return 0, height / columns, width / rows, 0, left, bottom
        case 180:
            return -width / columns, 0, 0, height / rows, right, bottom
        case 270:
            return 0, -height / columns, -width / rows, 0, right, top
    return width / columns, 0, 0, -height / rows, left, top


def product(first: Matrix, second: Matrix) -> Matrix:
    """Return the transformation that applies ``first``, then ``second``."""
    a, b, c, d, e, f = first
    g, h, i, j, k, m = second
    return (
        a * g + b * i,
        a * h + b * j,
        c * g + d * i,
        c * h + d * j,
        e * g + f * i + k,
        e * h + f * j + m,
    )


def _numbers(matrix: Matrix) -> str:
    return " ".join(f"{number:.6f}".rstrip("0").rstrip(".") or "0" for number in matrix)


def _reversed(text: str) -> str:
    """Return text in the order in which right-to-left letters are seen; marks stay behind their letters."""
    clusters: list[str] = []
    for character in text:
        if clusters and unicodedata.combining(character):
            clusters[-1] += character
        else:
            clusters.append(character)
    return "".join(reversed(clusters))
