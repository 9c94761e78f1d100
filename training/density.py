"""How densely a page is printed, in characters per vision token, and how the error grows with it.

The paper's own curve of optical compression (DeepSeek-OCR, section 4.1) has text tokens over vision tokens of
whole pages; here only tokens that see print count, so that a short text at the top of a page is not sparse.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_deepseek_ocr.ocr.families.deepseek_ocr import TILE_SIZE
from airflow_deepseek_ocr.ocr.resolution import PIXELS_PER_TOKEN, Resolution
from training.page import Page

#: Characters per vision token up to which the bands of a table go.
_BANDS = (3.0, 4.0, 5.0, 6.0, 8.0, float("inf"))


@dataclass(frozen=True)
class ReadPage:
    """A page that was read.

    :param density: see :func:`characters_per_token`.
    :param errors: edit distance of the text.
    :param characters: of the true text.
    """

    density: float
    errors: int
    characters: int


@dataclass(frozen=True)
class Band:
    """The pages of some densities.

    :param most: characters per vision token, up to.
    :param pages: how many.
    :param character_error: errors over characters of all of them together.
    """

    most: float
    pages: int
    character_error: float


def characters_per_token(page: Page, resolution: Resolution) -> float:
    """Printed characters, over the vision tokens that see any; 0 for an empty page.

    :param page: with its glyphs.
    :param resolution: the mode; of a tiled one the tiles' tokens count.
    """
    width, height = page.image.size
    columns, rows = resolution.grid(width, height)
    if columns * rows > 1:
        across, down = columns * TILE_SIZE / width, rows * TILE_SIZE / height
    else:
        across = down = resolution.size / max(width, height)
    tokens = Counter(
        (int(glyph.x * across) // PIXELS_PER_TOKEN, int(glyph.y * down) // PIXELS_PER_TOKEN)
        for glyph in page.glyphs
    )
    return len(page.glyphs) / len(tokens) if tokens else 0.0


def bands(pages: Sequence[ReadPage]) -> tuple[Band, ...]:
    """The error in each band that has pages."""
    found = []
    least = 0.0
    for most in _BANDS:
        within = [page for page in pages if least <= page.density < most]
        characters = sum(page.characters for page in within)
        if characters:
            error = sum(page.errors for page in within) / characters
            found.append(Band(most, len(within), error))
        least = most
    return tuple(found)


def as_table(sets: Sequence[tuple[str, Sequence[Band]]]) -> str:
    """Errors by density as a table in Markdown.

    :param sets: what each row is called, with its bands.
    """
    limits = [0.0, *_BANDS]
    heads = [
        f"{least:g} to {most:g}" if most < float("inf") else f"{least:g} and more"
        for least, most in itertools.pairwise(limits)
    ]
    lines = [
        f"| characters per vision token | {' | '.join(heads)} |",
        "|---" * (len(_BANDS) + 1) + "|",
    ]
    for name, found in sets:
        by_limit = {band.most: band for band in found}
        cells = [
            f"{by_limit[most].character_error:.1%} ({by_limit[most].pages})"
            if most in by_limit
            else ""
            for most in _BANDS
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
