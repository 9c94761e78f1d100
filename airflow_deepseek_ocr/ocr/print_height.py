"""The height of the print on a page, from its edges: which resolution mode shows it large enough."""

from __future__ import annotations

import numpy as np

#: Pixel rows of a line of text, fewest and most: fewer are grain and rules, more are pictures.
_LEAST, _MOST = 4, 160
#: Share of the edges in text that belong to lines of this height or a smaller one. A quarter lets the body of
#: a letter count, not its heading; single words in small print do not count.
_SHARE = 0.25
#: Height over the window's width above which lines are measured in windows twice as wide. Such a window has
#: fewer than 20 letters, too few to find the rows in which only some letters have a part.
_TALL = 0.1
#: How often windows are widened: as many times as there are letters of up to :data:`_MOST` pixels.
_WIDENINGS = 3


def print_height(edges: np.ndarray, *, window: int, least: int) -> float | None:
    """Return the height of the smaller print on a page in pixel rows; None without lines of text.

    It is the number of consecutive rows with many edges: more than the height of an x, less than that of a
    capital letter with its accent. It is 0.5 to 0.9 of the font's size, 0.7 on average
    (``docs/measurements/print-height.md``).

    :param edges: (rows, windows) edges of each row in each window of the page.
    :param window: width of a window in pixels.
    :param least: fewest edges of a window's row that is part of text.
    """
    height = _height(edges, least)
    for _ in range(_WIDENINGS):
        if height is None or height <= _TALL * window or edges.shape[1] < 2:
            break
        edges = np.pad(edges, ((0, 0), (0, edges.shape[1] % 2)))
        edges = edges[:, ::2].astype(np.int32) + edges[:, 1::2]
        window *= 2
        height = max(height, _height(edges, least) or 0.0)
    return height


def _height(edges: np.ndarray, least: int) -> float | None:
    edges = np.pad(np.where(edges >= least, edges, 0).T, ((0, 0), (1, 1)))
    steps = np.diff((edges > 0).astype(np.int8), axis=1)
    (windows, tops), (_, bottoms) = np.nonzero(steps == 1), np.nonzero(steps == -1)
    heights = bottoms - tops
    sums = np.cumsum(edges, axis=1, dtype=np.int64)
    weights = sums[windows, bottoms] - sums[windows, tops]
    is_line = (heights >= _LEAST) & (heights <= _MOST)
    heights, weights = heights[is_line], weights[is_line]
    if not heights.size:
        return None
    order = np.argsort(heights)
    shares = np.cumsum(weights[order])
    return float(heights[order][np.searchsorted(shares, _SHARE * shares[-1])])
