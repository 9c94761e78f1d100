"""Glyph heights against the letters that a font's character map gives them.

A PDF font with a wrong character map prints the right letters and extracts as others. In no font is an ``a``
taller than a ``b`` or a capital; under a wrong map it often is. The test needs neither a dictionary nor a
language.
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pypdfium2
import pypdfium2.raw as pdfium

from airflow_deepseek_ocr.ocr.documents.pdf_content.pdfium_calls import address_of, get_char_origin
from airflow_deepseek_ocr.ocr.documents.pdf_content.visible_text import Characters

#: Letters without an ascender in Latin, Greek and Cyrillic.
_FLAT = frozenset("acemnorsuvwxzαγεικνοπρστυωавгежзиклмнопрстухчшэюя")
#: Small letters with an ascender; capitals are as tall.
_TALL = frozenset("bdfhkl")
#: Latin letters on the baseline, and those that reach below it. An italic ``f`` does, so it is neither.
_LEVEL = frozenset("acemnorsuvwxbdhklit")
_HANGING = frozenset("gpqy")
#: Characters of a page whose height is measured, evenly spread.
_SAMPLE = 2000
#: Fewest letters of each kind for a font to be tested.
_LEAST = 8
#: Share of the font size by which a flat letter must exceed a tall one, or a letter on the baseline one that
#: reaches below: more than the overshoot of round letters.
_FARTHER = 0.08
#: Share of pairs of letters in the wrong order from which the map is wrong. Right maps have none; of 200
#: random permutations of the alphabet, the lowest share was 0.023.
_MIN_SHARE = 0.02


@dataclass
class _Reach:
    """How far the glyphs of a font reach above and below the baseline, as shares of the font size.

    :param count: characters of the font.
    """

    count: int = 0
    flat: list[float] = field(default_factory=list)
    tall: list[float] = field(default_factory=list)
    level: list[float] = field(default_factory=list)
    hanging: list[float] = field(default_factory=list)

    def add(self, letter: str, above: float, below: float) -> None:
        if letter in _FLAT:
            self.flat.append(above)
        elif letter in _TALL or letter.isupper():
            self.tall.append(above)
        if letter in _LEVEL:
            self.level.append(below)
        elif letter in _HANGING:
            self.hanging.append(below)

    @property
    def is_wrong(self) -> bool:
        return _contradicts(self.flat, self.tall) or _contradicts(self.level, self.hanging)


def wrongly_mapped(textpage: pypdfium2.PdfTextPage, characters: Characters) -> float:
    """Return the share of characters (0 to 1) whose font maps its glyphs to other letters.

    :param textpage: the text of the page.
    :param characters: its characters.
    """
    printed = np.flatnonzero(characters.printed)
    sample = printed[:: max(1, len(printed) // _SAMPLE)]
    above, below = _reaches(textpage, sample, characters.points)
    fonts: dict[int, _Reach] = defaultdict(_Reach)
    objects = {
        number: _font_of(characters.handles[number])
        for number in set(characters.objects[sample].tolist())
    }
    for index, number, up, down in zip(
        sample.tolist(), characters.objects[sample].tolist(), above, below, strict=True
    ):
        font, size = objects[number]
        reach = fonts[font]
        reach.count += 1
        if size > 0 and up == up:  # not NaN
            reach.add(characters.text[index], up / size, down / size)
    wrong = sum(font.count for font in fonts.values() if font.is_wrong)
    return wrong / len(sample) if len(sample) else 0.0


def _font_of(handle: pdfium.FPDF_PAGEOBJECT) -> tuple[int, float]:
    """Return the address of a text object's font and its size in points; 0 for text that is not upright."""
    font = ctypes.cast(pdfium.FPDFTextObj_GetFont(handle), ctypes.c_void_p).value or 0
    size, matrix = ctypes.c_float(), pdfium.FS_MATRIX()
    if not pdfium.FPDFTextObj_GetFontSize(handle, size) or not pdfium.FPDFPageObj_GetMatrix(
        handle, matrix
    ):
        return font, 0.0
    upright = matrix.d > 0 and abs(matrix.b) < 0.01 * matrix.d
    return font, size.value * matrix.d if upright else 0.0


def _reaches(
    textpage: pypdfium2.PdfTextPage, sample: npt.NDArray[np.int64], points: npt.NDArray[np.float64]
) -> tuple[list[float], list[float]]:
    """Return how far glyphs reach above and below their baselines in points; NaN if PDFium cannot say."""
    page, origins = address_of(textpage), np.full((len(sample), 2), np.nan)
    first, row, side = origins.ctypes.data, origins.strides[0], origins.itemsize
    for number, index in enumerate(sample.tolist()):
        x = first + number * row
        get_char_origin(page, index, x, x + side)
    baselines = origins[:, 1]
    above, below = points[sample, 1] - baselines, baselines - points[sample, 3]
    return above.tolist(), below.tolist()


def _contradicts(shorter: list[float], longer: list[float]) -> bool:
    """Return whether letters that should reach less far often reach farther."""
    if min(len(shorter), len(longer)) < _LEAST:
        return False
    # For each of the shorter ones: the number of longer ones that it exceeds.
    exceeded = np.searchsorted(np.sort(longer), np.array(shorter) - _FARTHER)
    return float(exceeded.sum()) >= _MIN_SHARE * len(shorter) * len(longer)
