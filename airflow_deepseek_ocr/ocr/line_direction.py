"""The direction in which the lines of a page's text run, from its grey levels alone."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

#: Longest side of the measured image in pixels.
_LONGEST_SIDE = 1280
#: Factors by which the image is reduced. At one of them the letters of a line run into a bar, while lines are
#: still apart: print of 10 to 80 pixels is covered.
_REDUCTIONS = (4, 8, 16, 32)
#: Shortest side of a reduced image in pixels: fewer show no lines.
_SHORTEST_SIDE = 20
#: Natural logarithm of the ratio of the two directions' contrasts beyond which the direction is certain.
#: Measured with generated pages (``docs/measurements/confidence.md``).
_CERTAIN = 0.5
#: Squared difference of grey levels, summed over all pixels, below which there is nothing to see.
_FAINTEST = 100.0


class LineDirection(Enum):
    """The direction of a page's lines of text."""

    ACROSS = "across"  #: from side to side: the page is upright or on its head
    DOWN = "down"  #: from top to bottom: the page lies on its side, or its script is written so
    UNCLEAR = "unclear"  #: little text, pictures, or both directions


def find_line_direction(image: Image.Image) -> LineDirection:
    """Return the direction of the lines of text on a page.

    Across a line of text, grey levels change far more than along it, once the image is so small that letters
    run into each other.

    :param image: the page, in any mode that Pillow converts to grey.
    """
    factor = max(1, round(max(image.size) / _LONGEST_SIDE))
    grey = image if image.mode == "L" else image.convert("L")
    grey = grey.reduce(factor) if factor > 1 else grey
    ratios = [
        _contrast_ratio(np.asarray(grey.reduce(reduction), dtype=np.float32))
        for reduction in _REDUCTIONS
        if min(grey.size) >= reduction * _SHORTEST_SIDE
    ]
    clearest = max(ratios, key=abs, default=0.0)
    if abs(clearest) < _CERTAIN:
        return LineDirection.UNCLEAR
    return LineDirection.ACROSS if clearest > 0 else LineDirection.DOWN


def _contrast_ratio(grey: np.ndarray) -> float:
    """Return the logarithm of the contrast between rows over the contrast between columns."""
    between_rows, between_columns = (
        float(np.square(np.diff(grey, axis=axis)).sum()) + _FAINTEST for axis in (0, 1)
    )
    return float(np.log(between_rows / between_columns))
