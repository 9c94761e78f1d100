"""The text embedded in a PDF page, with its position on the page.

:mod:`airflow_deepseek_ocr.ocr.quality.text_layer_checks` decides whether the text is usable and compares
model output with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_deepseek_ocr.ocr.results import PLAIN_LABEL, Box, Region

#: Characters of a page's text, at most; a longer text is not used. A dense page of print has 10,000 to
#: 20,000. Comparing 200,000 characters with a page's output takes half a second in the task's process.
MAX_LAYER_CHARACTERS = 200_000

#: Lines with a position, at most. A technical drawing may have a line for each letter.
MAX_LAYER_LINES = 5000


@dataclass(frozen=True)
class LayerLine:
    """A piece of a printed line.

    :param text: its text.
    :param box: its position on the page.
    """

    text: str
    box: Box


@dataclass(frozen=True)
class TextLayer:
    """The embedded text of a page.

    :param text: the whole visible text, in the file's order.
    :param lines: the same text in pieces, with positions.
    :param unmapped: share of characters (0 to 1) whose font has no mapping to Unicode, or a wrong one.
    :param invisible: share of characters (0 to 1) at a place on the page that does not show them.
    """

    text: str
    lines: tuple[LayerLine, ...] = ()
    unmapped: float = 0.0
    invisible: float = 0.0

    @property
    def regions(self) -> tuple[Region, ...]:
        """The lines as regions."""
        return tuple(Region(PLAIN_LABEL, line.text, (line.box,)) for line in self.lines)
