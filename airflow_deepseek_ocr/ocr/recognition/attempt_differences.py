"""The words of the best attempt at a page for which another attempt has other words."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rapidfuzz.distance import Indel

from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate

#: Punctuation around a word in which two attempts may differ.
_PUNCTUATION = ".,;:!?()[]{}\"'\u2018\u2019\u201c\u201d\u00ab\u00bb-\u2013\u2014"

#: Words of an attempt that is compared, at most: the comparison takes memory with the square of their number,
#: 60 MB here. The 8,192 tokens of a page have fewer, in Chinese as well.
_MOST_WORDS = 20_000


def differing_words(best: Candidate, candidates: Sequence[Candidate]) -> frozenset[int]:
    """Return the indices of the words of an attempt for which another attempt has other words.

    Words that another attempt lacks are not among them: it may have ended early.

    :param best: the attempt that is kept.
    :param candidates: all attempts. Those without confidence, as the text layer, are not compared, nor those
        with another text or more than 20,000 words.
    """
    if best.confidence is None:
        return frozenset()
    words = _words(best)
    if len(words) > _MOST_WORDS:
        return frozenset()
    differing: set[int] = set()
    for other in candidates:
        if other is best or other.confidence is None or other.error is not None:
            continue
        others = _words(other)
        if len(others) > _MOST_WORDS:
            continue
        if Indel.normalized_similarity(words, others) < THRESHOLDS.attempts_alike:
            continue
        differing.update(_replaced(words, others))
    return frozenset(differing)


def _replaced(words: Sequence[str], others: Sequence[str]) -> set[int]:
    """Return the indices of words in whose place there are others."""
    replaced: set[int] = set()
    deleted, inserted = set[int](), False
    for step in Indel.opcodes(words, others):
        if step.tag == "equal":
            replaced |= deleted if inserted else set()
            deleted, inserted = set(), False
        elif step.tag == "delete":
            deleted |= set(range(step.src_start, step.src_end))
        else:
            inserted = True
    return replaced | deleted if inserted else replaced


def _words(candidate: Candidate) -> list[str]:
    """Return the words of an attempt as they are compared."""
    if candidate.confidence is None:
        return []
    return [
        unicodedata.normalize("NFKC", word.text).strip(_PUNCTUATION) or word.text
        for word in candidate.confidence.words
    ]
