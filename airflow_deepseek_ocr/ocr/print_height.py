"""The height of the print on a page, from its edges: which resolution mode shows it large enough."""

from __future__ import annotations

import numpy as np

#: Pixel rows of a line of text, fewest and most: fewer are grain and rules, more are pictures.
_LEAST, _MOST = 4, 160
#: Share of the edges in text that belong to lines of this height or a smaller one. A quarter lets the body of
#: a letter count, not its heading; single words in small print do not count.
_SHARE = 0.25


def print_height(text_edges: np.ndarray) -> float | None:
    """Return the height of the smaller print on a page in pixel rows; None without lines of text.

    It is the number of consecutive rows with many edges: more than the height of an x, less than that of a
    capital letter with its accent. It is 0.5 to 0.9 of the font's size, 0.7 on average (measured with four
    fonts of 7 to 40 points, ``docs/measurements/print-height.md``).

    :param text_edges: (rows, windows) edges of each row in each window of the page; 0 where they are too few
        for text.
    """
    edges = np.pad(text_edges.T, ((0, 0), (1, 1)))
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
