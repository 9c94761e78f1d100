"""The words of a region's text, as confidence counts them.

``docs/design/confidence.md`` has the rules. Another program finds the same words in the stored text, so that
``word_confidences`` needs no places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from airflow_deepseek_ocr.ocr.results import Region

#: A tag, which the page does not show. In a formula, "<" is followed by something else.
_AFTER_BRACKET = r"(?:/?[a-zA-Z][^<>]{0,2000}|!--[^<>]{0,2000}--)>"
#: Marks of headings, lists and quotations at the start of a line.
_BLOCK_MARK = r"(?m:^[ \t]*(?:[-*+>]|\#{1,6})(?=[ \t]|$))"
#: Scripts written without spaces: Chinese, Japanese, Thai, Lao, Burmese, Khmer. Each character is a word,
#: with the marks of its vowels and tones.
_LETTER = (
    r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    r"\U00020000-\U0003ffff"
)
_VOWELS = (
    r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u17b4-\u17d3"
    r"\u3099\u309a"
)
_PART = re.compile(
    rf"(?P<skipped><{_AFTER_BRACKET}|{_BLOCK_MARK})"
    rf"|[{_LETTER}][{_VOWELS}]*"
    rf"|(?:[^\s|<{_LETTER}]|<(?!{_AFTER_BRACKET}))+"
)
#: Marks of emphasis and code, and delimiters of formulas.
_MARK = r"(?:[*_`]|\\[()\[\]])"
_BEFORE = re.compile(f"{_MARK}+")
_EMPHASIS, _BRACKETS = frozenset("*_`"), frozenset("()[]")
_FIRST_OF_MARKS, _LAST_OF_MARKS = _EMPHASIS | {"\\"}, _EMPHASIS | _BRACKETS


class Word(NamedTuple):
    """A word of a region.

    :param text: the word without the marks around it.
    :param start: its first character in the region's text.
    :param confidence: 0 to 1; None if it is not known.
    """

    text: str
    start: int
    confidence: float | None = None

    @property
    def end(self) -> int:
        """The character after its last one."""
        return self.start + len(self.text)


def find_words(text: str) -> list[Word]:
    """Return the words of a region's text in order, in time linear in its length."""
    words = []
    for part in _PART.finditer(text):
        written, start = part[0], part.start()
        if part.lastgroup is not None or _is_rule(written):
            continue
        # Hardly any word has marks, and its ends show it.
        if written[0] in _FIRST_OF_MARKS and (before := _BEFORE.match(written)):
            written, start = written[before.end() :], start + before.end()
        if written[-1:] in _LAST_OF_MARKS:
            written = _without_marks_after(written)
        if written:
            words.append(Word(written, start))
    return words


def region_words(region: Region) -> list[Word]:
    """Return the words of a region with their stored confidence, in the order of its text.

    :param region: a region with or without confidence. If its text has another number of words, as after
        a correction by a person, no word has one.
    """
    words = find_words(region.text)
    percents = region.word_confidences
    if percents is None or len(percents) != len(words):
        return words
    return [
        Word(word.text, word.start, percent / 100)
        for word, percent in zip(words, percents, strict=True)
    ]


class HasConfidence(Protocol):
    """A word of a region or page."""

    @property
    def text(self) -> str:
        """The word."""
        ...

    @property
    def confidence(self) -> float | None:
        """0 to 1; None if it is not known."""
        ...


def mean_confidence(words: Iterable[HasConfidence]) -> float | None:
    """Return the mean confidence of words, weighted by their characters; None if no word has one.

    For a table's cell, take the words between its start and end.
    """
    total, weighted = 0, 0.0
    for word in words:
        confidence = word.confidence
        if confidence is not None:
            length = len(word.text)
            total += length
            weighted += length * confidence
    return weighted / total if total else None


def _without_marks_after(written: str) -> str:
    # A pattern for the end would be tried at each mark: blanks of forms are long runs of underscores.
    end = len(written)
    while end:
        if written[end - 1] in _EMPHASIS:
            end -= 1
        elif end > 1 and written[end - 1] in _BRACKETS and written[end - 2] == "\\":
            end -= 2
        else:
            break
    return written[:end]


def _is_rule(written: str) -> bool:
    """Return whether it is a rule, or a part of the line below the head of a Markdown table."""
    return len(written) > 1 and "-" in written and set(written) <= set(":-")
