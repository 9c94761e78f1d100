"""Confidence of words, boxes, regions and pages from the probabilities of tokens.

``docs/design/confidence.md`` says why each is defined as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from airflow_deepseek_ocr.ocr.confidence.text_tokens import TextTokens
from airflow_deepseek_ocr.ocr.confidence.words import find_words, mean_confidence
from airflow_deepseek_ocr.ocr.markup.grounding import PlacedRegion
from airflow_deepseek_ocr.ocr.results import Region


class PageWord(NamedTuple):
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
    found = [find_words(each.region.text) for each in placed]
    starts = [
        each.start + word.start for each, words in zip(placed, found, strict=True) for word in words
    ]
    lengths = [len(word.text) for words in found for word in words]
    probabilities = iter(tokens.probabilities(starts, lengths))
    regions, page_words = [], list[PageWord]()
    for position, (each, words) in enumerate(zip(placed, found, strict=True)):
        measured = [
            PageWord(word.text, each.start + word.start, position, probability)
            # The words first: zip takes one probability too many otherwise.
            for word, probability in zip(words, probabilities, strict=False)
        ]
        regions.append(_region(each, measured, tokens))
        page_words += measured
    return PageConfidence(mean_confidence(page_words), tuple(regions), tuple(page_words))


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
