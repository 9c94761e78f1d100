"""Scripts (writing systems) of a text, and characters that no page has."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

#: Scripts that usually occur together on a page count as one.
_TOGETHER = {
    "HIRAGANA": "CJK",
    "KATAKANA": "CJK",
    "KATAKANA-HIRAGANA": "CJK",
    "HANGUL": "CJK",
    "BOPOMOFO": "CJK",
    "IDEOGRAPHIC": "CJK",
}
#: First words of the Unicode names of letters without a script: mathematical alphabets, ligatures, full-width
#: Latin, signs such as ordinals, superscripts.
_ANY = frozenset(
    {
        "MATHEMATICAL",
        "FULLWIDTH",
        "HALFWIDTH",
        "DOUBLE-STRUCK",
        "SCRIPT",
        "BLACK-LETTER",
        "FEMININE",
        "MASCULINE",
        "MICRO",
        "OHM",
        "KELVIN",
        "ANGSTROM",
        "MODIFIER",
        "SUPERSCRIPT",
        "SUBSCRIPT",
        "ALEF",
        "TURNED",
        "EULER",
        "PLANCK",
    }
)
_LETTERS = re.compile(r"[^\W\d_]+")
#: Unicode categories: control characters, private use, unassigned, lone surrogates.
_NO_CHARACTER = frozenset({"Cc", "Co", "Cn", "Cs"})
_WHITE_SPACE = frozenset("\t\n\r\f\v")
_REPLACEMENT = "\ufffd"


@lru_cache(maxsize=65536)
def script_of(letter: str) -> str | None:
    """Return the script of a letter, such as ``LATIN`` or ``CJK``; None for letters without a script."""
    name = unicodedata.name(letter, "").split(" ", 1)[0]
    return None if not name or name in _ANY else _TOGETHER.get(name, name)


@lru_cache(maxsize=65536)
def is_no_character(character: str) -> bool:
    """Return whether a character is none that a page can have, white space excepted."""
    return character == _REPLACEMENT or (
        character not in _WHITE_SPACE and unicodedata.category(character) in _NO_CHARACTER
    )


def count_scripts(text: str) -> Counter[str]:
    """Return the number of letters of each script."""
    counts: Counter[str] = Counter()
    for letter, times in Counter(text).items():
        if letter.isalpha() and (script := script_of(letter)) is not None:
            counts[script] += times
    return counts


def count_mixed_words(text: str) -> tuple[int, int]:
    """Return (words with at least two letters each of two alphabets, words with letters).

    Chinese, Japanese and Korean are written next to other scripts without a space, and do not count.
    """
    words = _LETTERS.findall(text)
    mixed = 0
    for word in () if text.isascii() else words:
        if word.isascii():
            continue
        scripts = Counter(filter(None, map(script_of, word)))
        scripts.pop("CJK", None)
        mixed += sum(letters >= 2 for letters in scripts.values()) >= 2
    return mixed, len(words)
