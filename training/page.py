"""A synthetic page: its picture, and everything that a perfect reader would say about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image

#: x1, y1, x2, y2 in pixels of the page's image.
PixelBox = tuple[float, float, float, float]


@dataclass(frozen=True)
class Line:
    """A printed line.

    :param text: what it says.
    :param box: the smallest box around its ink.
    """

    text: str
    box: PixelBox


@dataclass(frozen=True)
class Block:
    """A block of the layout, in the published labels.

    :param label: ``title``, ``sub_title``, ``text``, ``table``, ``image``, ``image_caption``,
        ``table_caption``, ``header`` or ``footer``.
    :param box: the box around all of it.
    :param lines: its printed lines, top to bottom; of a table the cells that are not empty, row by row.
    :param text: its content as Markdown, without a heading's ``#``; of a table and an image empty.
    :param cells: of a table: rows of cells, all rows of one length.
    """

    label: str
    box: PixelBox
    lines: tuple[Line, ...] = ()
    text: str = ""
    cells: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Glyph:
    """A printed character and the centre of its place, in pixels."""

    character: str
    x: float
    y: float


@dataclass
class Page:
    """A page.

    :param image: 8-bit grey.
    :param kind: the kind of document, such as ``invoice``; see :mod:`training.layouts`.
    :param blocks: in reading order.
    :param glyphs: every printed character but spaces, text in tables included.
    :param chart: of a chart: rows of (label, value), the first row being the headings.
    """

    image: Image.Image
    kind: str
    blocks: tuple[Block, ...] = ()
    glyphs: list[Glyph] = field(default_factory=list)
    chart: tuple[tuple[str, ...], ...] = ()
