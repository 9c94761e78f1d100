"""What every layout is built of: columns, headings, paragraphs, lines and lists."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from training.canvas import Canvas, Face, face
from training.text import Writer

if TYPE_CHECKING:
    from training.assets import Typeface

#: How far letters reach below the baseline, in font sizes; no font is deeper.
DESCENT = 0.32


@dataclass(frozen=True)
class Style:
    """How a page is set.

    :param typeface: its fonts.
    :param size: the body's size in pixels.
    :param smallest: no print is smaller, in pixels.
    :param pitch: from baseline to baseline, in font sizes.
    :param gap: between blocks, in body sizes, beside the pitch; at least 0.5, so that blocks can
        be told from lines.
    :param ink: the print's grey.
    :param paper: the paper's grey.
    :param stroke: the width of rules in pixels.
    :param justified: whether lines of paragraphs reach both edges; layouts may leave it out of account.
    """

    typeface: Typeface
    size: int
    smallest: int
    pitch: float
    gap: float
    ink: int
    paper: int
    stroke: int
    justified: bool = False


@dataclass
class Column:
    """A column that is filled from the top.

    :param left: its left edge in pixels.
    :param right: its right edge in pixels.
    :param y: where the next block starts, in pixels; moves down.
    :param bottom: its lower edge in pixels.
    """

    left: float
    right: float
    y: float
    bottom: float

    @property
    def width(self) -> float:
        """Its width in pixels."""
        return self.right - self.left

    def split(self, count: int, gutter: float) -> list[Column]:
        """Divide what is left of it into columns side by side.

        :param count: how many.
        :param gutter: the space between them in pixels.
        """
        width = (self.width - gutter * (count - 1)) / count
        lefts = [self.left + i * (width + gutter) for i in range(count)]
        return [Column(left, left + width, self.y, self.bottom) for left in lefts]

    def part(self, start: float, end: float) -> Column:
        """Give a narrower column at the same height.

        :param start: where it starts, as a share of the width.
        :param end: where it ends, as a share of the width.
        """
        width = self.width
        left = self.left
        return Column(left + start * width, left + end * width, self.y, self.bottom)


class Sheet:
    """A page with its style, its content's writer and its only source of chance.

    :param rng: the source.
    :param canvas: the page.
    :param style: how it is set.
    :param writer: what writes its content.
    """

    def __init__(self, rng: Random, canvas: Canvas, style: Style, writer: Writer) -> None:
        self.rng = rng
        self.canvas = canvas
        self.style = style
        self.writer = writer
        self.chart: tuple[tuple[str, ...], ...] = ()

    def chance(self, probability: float) -> bool:
        """Say yes with a probability."""
        return self.rng.random() < probability

    def face(self, factor: float = 1.0, *, bold: bool = False, italic: bool = False) -> Face:
        """Give a font of the page's typeface, or its nearest where it lacks one.

        :param factor: the size in body sizes.
        :param bold: whether it is bold.
        :param italic: whether it is italic.
        """
        typeface = self.style.typeface
        path = None
        if bold and italic:
            path = typeface.bold_italic
        if path is None and bold:
            path = typeface.bold
        if path is None and italic:
            path = typeface.italic
        return face(
            path or typeface.regular, max(self.style.smallest, round(self.style.size * factor))
        )

    def body(self) -> Face:
        """Give the font of a paragraph: mostly the plain one."""
        style = self.rng.random()
        return self.face(bold=0.86 < style < 0.94, italic=style > 0.93)

    def gap(self, column: Column, factor: float = 1.0) -> None:
        """Leave the space that parts blocks.

        :param column: the column.
        :param factor: in the page's gaps; at least 1 between blocks of text.
        """
        column.y += max(0.5, self.style.gap * factor) * self.style.size

    def full(self, column: Column) -> bool:
        """Say whether no line of body text fits any more."""
        style = self.style
        return self.canvas.left < 8 or column.y + (1 + DESCENT) * style.size > column.bottom
