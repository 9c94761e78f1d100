"""Quality checks of the model's own confidence, and the words that are uncertain."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from airflow_deepseek_ocr.ocr.confidence.page_confidence import PageConfidence, PageWord
from airflow_deepseek_ocr.ocr.confidence.words import find_words
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import Agreement
from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS, Thresholds
from airflow_deepseek_ocr.ocr.results import Doubt, Region, UncertainWord

#: Uncertain words of a page, at most: 20 KB of JSON. A page with more is uncertain as a whole.
MAX_UNCERTAIN_WORDS = 200
#: Characters of an uncertain word that are kept; a longer one is a line without spaces.
_MAX_CHARACTERS = 100


def check_confidence(
    confidence: PageConfidence | None, agreement: Agreement | None, thresholds: Thresholds
) -> set[Flag]:
    """Return the flags of the model's confidence; none if it is not known.

    :param confidence: the confidence of the output's words.
    :param agreement: agreement with the text layer. A layer with the same words confirms the text, however
        sure the model was.
    :param thresholds: the values from which the flags are raised.
    """
    if confidence is None or confidence.value is None:
        return set()
    flags = set()
    confirmed = (
        agreement is not None
        and agreement.words >= thresholds.agreement_words
        and agreement.unordered >= thresholds.outputs_agree
    )
    characters = sum(len(word.text) for word in confidence.words)
    if (
        not confirmed
        and characters >= thresholds.confidence_characters
        and confidence.value < thresholds.page_confidence
    ):
        flags.add(Flag.LOW_CONFIDENCE)
    elif any(is_uncertain_region(region, thresholds) for region in confidence.regions):
        flags.add(Flag.LOW_CONFIDENCE_REGION)
    if any(_is_uncertain_number(word, thresholds) for word in confidence.words):
        flags.add(Flag.UNCERTAIN_NUMBERS)
    return flags


def is_uncertain_region(region: Region, thresholds: Thresholds = THRESHOLDS) -> bool:
    """Return whether the mean confidence of a region is low; words of few characters do not count."""
    return (
        region.confidence is not None
        and region.confidence < thresholds.region_confidence
        and sum(len(word.text) for word in find_words(region.text))
        >= thresholds.confidence_characters
    )


def uncertain_words(
    words: Sequence[PageWord],
    differing: Collection[int] = (),
    thresholds: Thresholds = THRESHOLDS,
) -> tuple[UncertainWord, ...]:
    """Return the uncertain words of a page in the order of the text, the least certain 200 of them.

    :param words: the words of the page.
    :param differing: indices of words for which another attempt has other words.
    :param thresholds: the values below which a word is uncertain.
    """
    found = []
    for index, word in enumerate(words):
        reasons = []
        if word.confidence < thresholds.word_confidence:
            reasons.append(Doubt.LOW_CONFIDENCE)
        if _is_uncertain_number(word, thresholds):
            reasons.append(Doubt.UNCERTAIN_NUMBER)
        if index in differing:
            reasons.append(Doubt.ATTEMPTS_DIFFER)
        if reasons:
            found.append((word, tuple(reasons)))
    worst = sorted(found, key=lambda each: each[0].confidence)[:MAX_UNCERTAIN_WORDS]
    return tuple(
        UncertainWord(
            word=word.text[:_MAX_CHARACTERS],
            confidence=round(word.confidence, 4),
            offset=word.start,
            length=len(word.text),
            region=word.region,
            reasons=reasons,
        )
        for word, reasons in sorted(worst, key=lambda each: each[0].start)
    )


def _is_uncertain_number(word: PageWord, thresholds: Thresholds) -> bool:
    return word.confidence < thresholds.number_confidence and any(map(str.isdecimal, word.text))
