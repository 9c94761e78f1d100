"""Checks of a PDF page's embedded text, and its agreement with model output."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rapidfuzz.distance import Indel

from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.scripts import count_scripts, is_no_character
from airflow_deepseek_ocr.ocr.quality.thresholds import Thresholds
from airflow_deepseek_ocr.ocr.quality.words import HTML_TAG, WORD

#: Largest share of characters without meaning in a usable layer. One in fifty is a bullet or a symbol in its
#: own font; more of them come from a font without a character map.
_MAX_GARBAGE = 0.02
#: Largest share of invisible characters in a usable layer. A scan with more of them has another OCR program's
#: output as its text.
_MAX_INVISIBLE = 0.2
#: Text edges to a character (:func:`~airflow_deepseek_ocr.ocr.edge_density.measure_edge_density`)
#: above which the layer lacks text: characters of 6 to 60 pixels have 10 to 60.
_MAX_TEXT_EDGES_PER_CHARACTER = 120
#: Smallest share of letters from which a script counts as one of the page's.
_MIN_SCRIPT_SHARE = 0.01
#: A hyphen at the end of a line, as PDFium and as authors write it.
_HYPHEN = re.compile(r"[-\u00ad\u2010\x02\ufffe][ \t]*\r?\n\s*")


class LayerFault(StrEnum):
    """Why a text layer is not usable."""

    EMPTY = "empty"  #: no words
    #: glyphs without Unicode or with that of other letters, private use or replacement characters
    GARBAGE = "garbage"
    INVISIBLE = "invisible"  #: text that the page does not show: another OCR program's output
    SPARSE = "sparse"  #: much more text on the page image than in the layer


def find_fault(layer: TextLayer, text_edges: int | None = None) -> LayerFault | None:
    """Return why a text layer is not usable, or None if it is usable.

    :param layer: the page's embedded text.
    :param text_edges: text edges on the page image; None if they were not measured.
    """
    if layer.invisible > _MAX_INVISIBLE:
        return LayerFault.INVISIBLE
    characters = [each for each in layer.text if not each.isspace()]
    if not characters:
        return LayerFault.EMPTY
    meaningless = sum(map(is_no_character, characters))
    if max(layer.unmapped, meaningless / len(characters)) > _MAX_GARBAGE:
        return LayerFault.GARBAGE
    if not WORD.search(layer.text):
        return LayerFault.EMPTY
    if text_edges is not None and text_edges > _MAX_TEXT_EDGES_PER_CHARACTER * len(characters):
        return LayerFault.SPARSE
    return None


def page_scripts(layer: TextLayer) -> frozenset[str]:
    """Return the scripts of a page, such as ``LATIN``; scripts with under 1 % of the letters are left out."""
    counts = count_scripts(layer.text)
    least = _MIN_SCRIPT_SHARE * sum(counts.values())
    return frozenset(script for script, letters in counts.items() if letters >= least)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of model output with the text layer.

    :param unordered: words in both in any order, as F1 (0 to 1).
    :param ordered: words in both in the same order, as a share of all words (0 to 1).
    :param only_in_layer: share of the layer's words that the output lacks.
    :param only_in_output: share of the output's words that the layer lacks.
    :param words: words of the longer text.
    """

    unordered: float
    ordered: float
    only_in_layer: float
    only_in_output: float
    words: int


def measure_agreement(layer: str, output: str) -> Agreement:
    """Compare two texts by their words, ignoring case, markup, punctuation and hyphenation.

    :param layer: the page's embedded text.
    :param output: the model's output as Markdown.
    """
    layer_words, output_words = _words(layer), _words(output)
    common = (Counter(layer_words) & Counter(output_words)).total()
    total = len(layer_words) + len(output_words)
    return Agreement(
        unordered=2 * common / total if total else 1.0,
        ordered=Indel.normalized_similarity(layer_words, output_words),
        only_in_layer=1 - common / len(layer_words) if layer_words else 0.0,
        only_in_output=1 - common / len(output_words) if output_words else 0.0,
        words=max(len(layer_words), len(output_words)),
    )


def check_agreement(agreement: Agreement | None, thresholds: Thresholds) -> set[Flag]:
    """Return the flags of an agreement; none if it is None or rests on too few words."""
    if agreement is None or agreement.words < thresholds.agreement_words:
        return set()
    flags = set()
    if agreement.unordered < thresholds.agreement:
        flags.add(Flag.LAYER_DISAGREES)
    if agreement.only_in_layer >= thresholds.only_in_one:
        flags.add(Flag.ONLY_IN_LAYER)
    if agreement.only_in_output >= thresholds.only_in_one:
        flags.add(Flag.ONLY_IN_OUTPUT)
    return flags


def _words(text: str) -> Sequence[str]:
    text = _HYPHEN.sub("", HTML_TAG.sub(" ", text))
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())
