"""How much of a page image looks like print: enough to tell an empty page from a full one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

#: Longest side, in pixels, at which a page is looked at; print of 10 points on A4 keeps 15 pixels.
_LONGEST_SIDE = 1280
#: Grey levels (of 255) over two pixels that make an edge: more than shading and paper's grain, less
#: than faint print.
_EDGE = 32
#: Width of the window, in pixels, in which print shows as many edges in a row; rules, frames and the
#: outlines of shapes show few.
_WINDOW = 160
_EDGES_IN_WINDOW = 6
#: Rows and columns of the map of a page.
MAP_SIZE = 100


@dataclass(frozen=True, kw_only=True)
class EdgeDensity:
    """What is on a page.

    :param strokes: edges in pixel rows that have many of them close together, as print has and blank
        paper, rules and smooth pictures have not. Printed characters of 6 to 60 pixels have 10 to 60
        each; drawn pictures without text had up to 612, empty pages with lines none.
    :param edges: all edges in pixel rows; none on blank paper.
    :param edge_map: their number in each field of the page, (:data:`MAP_SIZE`,
        :data:`MAP_SIZE`), rows from the top; None for images that are too small for it.
    """

    text_edges: int
    edges: int
    edge_map: np.ndarray | None = field(default=None, repr=False, compare=False)


def measure_edge_density(image: Image.Image) -> EdgeDensity | None:
    """What is on a page; None for images that are too narrow to tell, under 160 pixels.

    :param image: the page, in any mode that Pillow turns into grey.
    """
    if image.width < _WINDOW:
        return None
    grey = image.convert("L")
    if max(grey.size) > _LONGEST_SIDE:
        grey.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    if grey.width < 4:
        return None
    pixels = np.asarray(grey, dtype=np.int16)
    slope = pixels[:, 2:] - pixels[:, :-2]
    edges = np.zeros((slope.shape[0], slope.shape[1] - 1), dtype=bool)
    for towards in (slope > _EDGE, slope < -_EDGE):
        edges |= towards[:, 1:] & ~towards[:, :-1]
    padded = np.pad(edges, ((0, 0), (0, -edges.shape[1] % _WINDOW)))
    counts = padded.reshape(len(edges), -1, _WINDOW).sum(axis=2, dtype=np.int64)
    return EdgeDensity(
        text_edges=int(counts[counts >= _EDGES_IN_WINDOW].sum()),
        edges=int(counts.sum()),
        edge_map=_edge_map(edges),
    )


def _edge_map(edges: np.ndarray) -> np.ndarray | None:
    if min(edges.shape) < MAP_SIZE:
        return None
    rows, columns = (np.arange(MAP_SIZE) * length // MAP_SIZE for length in edges.shape)
    in_rows = np.add.reduceat(edges, rows, axis=0, dtype=np.int32)
    return np.add.reduceat(in_rows, columns, axis=1)
