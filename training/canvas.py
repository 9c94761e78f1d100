"""Drawing on a synthetic page, with a record of everything that is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from training.page import Block, Glyph, Line, PixelBox

#: Letters that typesetting programs join to one sign, where the font has it.
LIGATURES = {"fi": "ﬁ", "fl": "ﬂ"}
#: Faces of FreeType cost memory; a worker keeps no more of them than this.
CACHED_FACES = 300


_PARTS = {sign: pair for pair, sign in LIGATURES.items()}


class _Advances(dict[str, float]):
    """Widths of single characters, measured when first asked for."""

    def __init__(self, font: ImageFont.FreeTypeFont) -> None:
        super().__init__()
        self._font = font

    def __missing__(self, character: str) -> float:
        self[character] = width = self._font.getlength(character)
        return width


class _Stamp(NamedTuple):
    """A drawn character.

    :param mask: its picture.
    :param dx: from the pen to the mask's left edge, in pixels.
    :param dy: from the baseline to the mask's top, in pixels.
    :param ink: the box of its ink, from the pen and the baseline, in pixels.
    """

    mask: Any
    dx: int
    dy: int
    ink: tuple[int, int, int, int]


class _Stamps(dict[str, _Stamp]):
    """Pictures of single characters, drawn when first asked for.

    FreeType takes ten times as long to draw a character as it takes to copy it, and a page has
    few different ones.
    """

    def __init__(self, font: ImageFont.FreeTypeFont) -> None:
        super().__init__()
        self._font = font

    def __missing__(self, character: str) -> _Stamp:
        mask, (dx, dy) = self._font.getmask2(character, "L", anchor="ls")
        x1, y1, x2, y2 = mask.getbbox() or (0, 0, 0, 0)
        stamp = _Stamp(mask, dx, dy, (dx + x1, dy + y1, dx + x2, dy + y2))
        self[character] = stamp
        return stamp


class Face:
    """A font at a size.

    :param path: the font's file.
    :param size: its size in pixels.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.font = ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
        self.size = size
        self.advances = _Advances(self.font)
        self.stamps = _Stamps(self.font)
        #: Height of capitals above the baseline, in pixels.
        self.cap_height = -self.stamps["H"].ink[1]
        self.space = self.advances[" "]

    @cached_property
    def ligatures(self) -> dict[str, str]:
        """Those of :data:`LIGATURES` that the font has a glyph for."""
        missing = bytes(self.font.getmask("\uffff"))
        return {
            pair: sign
            for pair, sign in LIGATURES.items()
            if bytes(self.font.getmask(sign)) != missing
        }

    def width(self, text: str) -> float:
        """Measure a text.

        :param text: the text.
        :return: its width in pixels, without kerning.
        """
        return sum(map(self.advances.__getitem__, text))


@lru_cache(maxsize=CACHED_FACES)
def face(path: Path, size: int) -> Face:
    """Load a font at a size, or take it from the cache.

    :param path: the font's file.
    :param size: its size in pixels.
    """
    return Face(path, size)


def union(boxes: Iterable[PixelBox]) -> PixelBox:
    """Give the smallest box around boxes.

    :param boxes: at least one box.
    """
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def joined(parts: Sequence[Line]) -> Line:
    """Make one line of parts that are printed beside each other.

    :param parts: the parts, left to right.
    """
    return Line(" ".join(part.text for part in parts), union(part.box for part in parts))


class Canvas:
    """A page being drawn.

    :param width: its width in pixels.
    :param height: its height in pixels.
    :param paper: its grey, 0 to 255.
    :param budget: how many characters may be printed on it.
    """

    def __init__(self, width: int, height: int, paper: int, budget: int) -> None:
        self.image = Image.new("L", (width, height), paper)
        self.draw = ImageDraw.Draw(self.image)
        self.width = width
        self.height = height
        self.paper = paper
        #: Characters that may still be printed; spaces count.
        self.left = budget
        self.blocks: list[Block] = []
        self.glyphs: list[Glyph] = []
        #: Whether letters are joined where the font has a sign for both.
        self.joins_letters = False

    def print(
        self, text: str, face: Face, x: float, baseline: float, ink: int, spread: float = 0.0
    ) -> Line:
        """Print a line of text.

        :param text: the text, which holds more than spaces.
        :param face: the font.
        :param x: where it starts, in pixels.
        :param baseline: its baseline, in pixels.
        :param ink: its grey.
        :param spread: how much wider each space is, in pixels.
        :return: the line with its ink's box.
        """
        base = round(baseline)
        middle = base - face.cap_height / 2
        pen = float(round(x))
        advances, stamps = face.advances, face.stamps
        # What ImageDraw.text does with a whole line's mask.
        stamp_on, record = self.draw.draw.draw_bitmap, self.glyphs.append
        lefts: list[int] = []
        tops: list[int] = []
        rights: list[int] = []
        bottoms: list[int] = []
        for character in self._joined(text, face):
            advance = advances[character]
            if character != " ":
                mask, dx, dy, (x1, y1, x2, y2) = stamps[character]
                place = round(pen)
                stamp_on((place + dx, base + dy), mask, ink)
                lefts.append(place + x1)
                tops.append(y1)
                rights.append(place + x2)
                bottoms.append(y2)
                parts = _PARTS.get(character, character)
                for number, part in enumerate(parts):
                    record(Glyph(part, pen + advance * (number + 0.5) / len(parts), middle))
            else:
                pen += spread
            pen += advance
        self.left -= len(text)
        return Line(text, (min(lefts), base + min(tops), max(rights), base + max(bottoms)))

    def _joined(self, text: str, face: Face) -> str:
        if self.joins_letters:
            for pair, sign in face.ligatures.items():
                text = text.replace(pair, sign)
        return text

    def add(
        self,
        label: str,
        lines: Sequence[Line],
        text: str = "",
        *,
        box: PixelBox | None = None,
        cells: Sequence[Sequence[str]] = (),
    ) -> None:
        """Record a block.

        :param label: its label.
        :param lines: its lines, top to bottom.
        :param text: what it says.
        :param box: its box in pixels; without one, that of its lines.
        :param cells: a table's rows.
        """
        self.blocks.append(
            Block(
                label,
                union(line.box for line in lines) if box is None else box,
                tuple(lines),
                text,
                tuple(map(tuple, cells)),
            )
        )
