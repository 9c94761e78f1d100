"""Delimiters and environments of LaTeX formulas: whether they pair."""

from __future__ import annotations

import re
from collections import Counter

#: Delimiters of formulas, as the published model writes them.
_PAIRS = {r"\)": r"\(", r"\]": r"\["}
_DELIMITER = re.compile(r"\\[()\[\]]")
_ENVIRONMENT = re.compile(r"\\(begin|end)\{([a-zA-Z]{1,20}\*?)\}")
#: Code, in which the same characters are no delimiters.
_FENCE = re.compile(r" {0,3}(```|~~~)")
_CODE_SPAN = re.compile(r"(?<!`)`[^`\n]{1,400}`(?!`)")
_CODE_TAG = re.compile(r"<(/?)(?:code|pre)\b[^<>]{0,200}>", re.IGNORECASE)
#: What precedes or follows a bracket of a regular expression, a path or a program, and no formula.
_LITERAL_BEFORE = re.compile(r"(?:[A-Za-z0-9_|*+?^/]|\b[A-Za-z]:)\Z")
_LITERAL_AFTER = re.compile(r"[?*+|/]|\.[*+]|\\[dwsDWSbB](?![a-zA-Z])|\[\^|\[[a-zA-Z0-9]-")
_QUOTES = "\"'\u201c\u201d\u2018\u2019`"
#: What formulas have and sentences have not.
_MATHS = re.compile(r"[=+^_{}\\<>~|*/]|\d\s*[-,]\s*\d|(?<![^\W\d_])[^\W\d_](?![^\W\d_])")
_WORD = re.compile(r"[^\W\d_]{3,}")
#: Characters beside a delimiter that tell a sentence from a formula.
_NEAR = 40


def has_open_formula(text: str) -> bool:
    """Return whether delimiters or environments of formulas lack their partner.

    Code and regular expressions have the same characters; there they count for nothing.

    :param text: the text of the regions.
    """
    text = _CODE_SPAN.sub(" ", _without_blocks_of_code(text))
    count: Counter[str] = Counter()
    for kind, name in _ENVIRONMENT.findall(text):
        count[name] += 1 if kind == "begin" else -1
    if any(count.values()):
        return True
    text = text.replace("\\\\", "  ")  # a new row, which may be followed by a bracket
    return any(not _is_literal(text, start) for start in _unpaired(text))


def _without_blocks_of_code(text: str) -> str:
    """Return the text without fenced blocks and the elements ``code`` and ``pre``."""
    lines, fence = [], ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if found and fence in ("", found[1]):
            fence = "" if fence else found[1]
        elif not fence:
            lines.append(line)
    text = "\n".join(lines)
    pieces, start, depth = [], 0, 0
    for tag in _CODE_TAG.finditer(text):
        if depth == 0:
            pieces.append(text[start : tag.start()])
        depth = max(0, depth - 1) if tag[1] else depth + 1
        start = tag.end()
    # An element that is not closed is none.
    return "".join(pieces) + text[start:]


def _unpaired(text: str) -> list[int]:
    """Return where the delimiters without a partner start."""
    waiting: dict[str, list[int]] = {opens: [] for opens in _PAIRS.values()}
    alone = []
    for match in _DELIMITER.finditer(text):
        opens = _PAIRS.get(match[0])
        if opens is None:
            waiting[match[0]].append(match.start())
        elif waiting[opens]:
            waiting[opens].pop()
        else:
            alone.append(match.start())
    return alone + [start for starts in waiting.values() for start in starts]


def _is_literal(text: str, start: int) -> bool:
    """Return whether a delimiter without a partner is a bracket of other text than a formula."""
    before, after = text[max(0, start - _NEAR) : start], text[start + 2 : start + 2 + _NEAR]
    if _LITERAL_BEFORE.search(before) or _LITERAL_AFTER.match(after):
        return True
    if before[-1:] and before[-1] in _QUOTES and after[:1] and after[0] in _QUOTES:
        return True
    # Beside it there is a sentence, where a formula would be.
    inside = after if text[start + 1] in "([" else before
    inside = inside.split("\n")[0] if text[start + 1] in "([" else inside.split("\n")[-1]
    return len(_WORD.findall(inside)) >= 3 and not _MATHS.search(inside)
