"""Confidence of words, boxes, regions and pages from the probabilities of tokens.

``docs/design/confidence.md`` says why each is defined as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from airflow_deepseek_ocr.ocr.confidence.text_tokens import TextTokens
from airflow_deepseek_ocr.ocr.confidence.words import Word, find_words, mean_confidence
from airflow_deepseek_ocr.ocr.markup.grounding import PlacedRegion
from airflow_deepseek_ocr.ocr.results import Region


@dataclass(frozen=True, slots=True)
class PageWord:
    """A word of a page.

    :param text: the word without the marks around it.
    :param start: its first character in the page's text.
    :param region: position of its region, from 0.
    :param confidence: the product of the probabilities of its tokens, 0 to 1.
    """

    text: str
    start: int
    region: int
    confidence: float


@dataclass(frozen=True)
class PageConfidence:
    """The confidence of a page's output.

    :param value: the mean of its words, weighted by their characters, 0 to 1; None without words.
    :param regions: its regions, with their confidence and that of their words and boxes.
    :param words: its words in the order of the regions.
    """

    value: float | None
    regions: tuple[Region, ...]
    words: tuple[PageWord, ...]


def measure_confidence(placed: Sequence[PlacedRegion], tokens: TextTokens) -> PageConfidence:
    """Return the confidence of model output.

    :param placed: the output's regions with their places in its text.
    :param tokens: the tokens of this text.
    """
    regions, words = [], []
    for position, each in enumerate(placed):
        found = [
            PageWord(
                word.text, each.start + word.start, position, _probability(word, each.start, tokens)
            )
            for word in find_words(each.region.text)
        ]
        regions.append(_region(each, found, tokens))
        words += found
    return PageConfidence(mean_confidence(words), tuple(regions), tuple(words))


def _probability(word: Word, offset: int, tokens: TextTokens) -> float:
    return math.exp(tokens.log_probability(offset + word.start, offset + word.end))


def _region(placed: PlacedRegion, words: Sequence[PageWord], tokens: TextTokens) -> Region:
    boxes = []
    for box, span in zip(placed.region.boxes, placed.boxes, strict=True):
        mean = tokens.mean_of_numbers(*span)
        boxes.append(box if mean is None else replace(box, confidence=math.exp(mean)))
    return replace(
        placed.region,
        boxes=tuple(boxes),
        confidence=mean_confidence(words),
        word_confidences=tuple(round(100 * word.confidence) for word in words),
    )
