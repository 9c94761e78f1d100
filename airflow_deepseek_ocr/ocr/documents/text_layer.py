"""A page's own text: is it sound, and does a reading say the same?"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rapidfuzz.distance import Indel

from airflow_deepseek_ocr.ocr.markup.grounding import PLAIN
from airflow_deepseek_ocr.ocr.quality.scripts import count_scripts, is_no_character
from airflow_deepseek_ocr.ocr.results import Box, Region


class LayerFault(StrEnum):
    """Why a text layer is not to be trusted."""

    EMPTY = "empty"  #: no words
    GARBAGE = "garbage"  #: glyphs without characters, private use, replacement characters
    INVISIBLE = "invisible"  #: text that is not shown: another program's reading of a scan
    SPARSE = "sparse"  #: much more print on the page than text in the layer


#: A layer with more characters that mean nothing than this is garbage: one in fifty is a bullet or a
#: symbol of a font of its own, more is a font without a table of characters.
_MOST_GARBAGE = 0.02
#: Share of characters that are not shown from which on the layer is another program's reading.
_MOST_INVISIBLE = 0.2
#: Strokes to a character (``measure_edge_density``), beyond which text is
#: missing: print of 6 to 60 pixels has 10 to 60.
_MOST_STROKES = 120
#: Share of letters from which on a script counts as the page's.
_LEAST_OF_SCRIPT = 0.01

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af\u0e00-\u0eff]|[^\W_]+")
_TAG = re.compile(r"<[^<>]{1,200}>")
#: A hyphen at a line's end, as PDFium and as writers write it.
_HYPHEN = re.compile(r"[-\u00ad\u2010\x02\ufffe][ \t]*\r?\n\s*")


@dataclass(frozen=True)
class LayerLine:
    """A piece of a printed line.

    :param text: what it says.
    :param box: where it stands.
    """

    text: str
    box: Box


@dataclass(frozen=True)
class TextLayer:
    """The text that a page brings along.

    :param text: all of it, in the file's order.
    :param lines: the same in pieces with their places.
    :param unmapped: share of characters whose font does not say what they are.
    :param invisible: share of characters that are not shown.
    """

    text: str
    lines: tuple[LayerLine, ...] = ()
    unmapped: float = 0.0
    invisible: float = 0.0

    def fault(self, text_edges: int | None = None) -> LayerFault | None:
        """Why the layer is not to be trusted; None if it is sound.

        :param strokes: print on the page, if that is known.
        """
        characters = [each for each in self.text if not each.isspace()]
        if not characters:
            return LayerFault.EMPTY
        nothing = sum(map(is_no_character, characters))
        if max(self.unmapped, nothing / len(characters)) > _MOST_GARBAGE:
            return LayerFault.GARBAGE
        if not _WORD.search(self.text):
            return LayerFault.EMPTY
        if self.invisible > _MOST_INVISIBLE:
            return LayerFault.INVISIBLE
        if text_edges is not None and text_edges > _MOST_STROKES * len(characters):
            return LayerFault.SPARSE
        return None

    @property
    def scripts(self) -> frozenset[str]:
        """The scripts on the page, such as ``LATIN``; a few letters of another do not count."""
        counts = count_scripts(self.text)
        least = _LEAST_OF_SCRIPT * sum(counts.values())
        return frozenset(script for script, letters in counts.items() if letters >= least)

    @property
    def regions(self) -> tuple[Region, ...]:
        """Its lines as regions."""
        return tuple(Region(PLAIN, line.text, (line.box,)) for line in self.lines)


@dataclass(frozen=True)
class Agreement:
    """How far a reading and a text layer say the same.

    :param unordered: words in both, whatever their order, as F1: 0 to 1.
    :param ordered: words in both in the same order, as the share of all: 0 to 1.
    :param only_in_layer: share of the layer's words that the reading lacks.
    :param only_in_reading: share of the reading's words that the layer lacks.
    :param words: words of the longer of the two.
    """

    unordered: float
    ordered: float
    only_in_layer: float
    only_in_reading: float
    words: int


def compare(layer: str, reading: str) -> Agreement:
    """How far they say the same, without regard to case, markup, punctuation and hyphenation."""
    theirs, ours = _words(layer), _words(reading)
    common = (Counter(theirs) & Counter(ours)).total()
    total = len(theirs) + len(ours)
    return Agreement(
        unordered=2 * common / total if total else 1.0,
        ordered=Indel.normalized_similarity(theirs, ours),
        only_in_layer=1 - common / len(theirs) if theirs else 0.0,
        only_in_reading=1 - common / len(ours) if ours else 0.0,
        words=max(len(theirs), len(ours)),
    )


def _words(text: str) -> Sequence[str]:
    text = _HYPHEN.sub("", _TAG.sub(" ", text))
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
