"""Numbers in model output that no page has: counting without end, and few numbers over and over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airflow_deepseek_ocr.ocr.quality.words import WORD

#: Numbers of one step of a progression, at most: a date has three, a date with time six.
_LONGEST_STEP = 6
#: Share of the words of a line that are numbers, from which it is a line of numbers; share of numbers that
#: count on, from which all do.
_MOSTLY = 0.8
#: Share of the numbers that change in a date with time, at least.
_LEAST_CHANGE = 0.1
#: Lines of a block, at most.
_LONGEST_BLOCK = 8
_DIGIT = re.compile(r"[0-9]")
#: Digits of a number, at most; longer ones are compared by their last digits.
_DIGITS = 15


@dataclass(frozen=True)
class NumberRuns:
    """The longest runs of numbers in a text.

    :param in_line: numbers in the longest line of numbers that counts on.
    :param in_column: numbers of the longest column, one to a line, that counts on.
    :param in_blocks: lines without letters in the longest run of a block of 2 to 8 different lines that
        repeats and does not count.
    :param one_digit: numbers of a text in which nearly all digits are the same one, 0 excepted.
    """

    in_line: int = 0
    in_column: int = 0
    in_blocks: int = 0
    one_digit: int = 0


def find_number_runs(lines: Sequence[str]) -> NumberRuns:
    """Return the runs of numbers of these lines, in time linear in their length."""
    in_line = in_column = 0
    column: list[str] = []
    numbers: list[str] = []
    for line in lines:
        # Most lines of a page have no digit, and need not be split.
        words = WORD.findall(line) if _DIGIT.search(line) else []
        found = [word for word in words if word.isascii() and word.isdecimal()]
        numbers += found
        if len(found) > in_line and len(found) >= _MOSTLY * len(words):
            in_line = max(in_line, _length(found, _LEAST_CHANGE))
        if len(words) == len(found) == 1:
            column += found
            continue
        if column:
            in_column = max(in_column, _length(column, _MOSTLY))
            column = []
    in_column = max(in_column, _length(column, _MOSTLY))
    digits = Counter("".join(numbers))
    (digit, times), *_ = digits.most_common(1) or [("0", 0)]
    same = digit != "0" and times >= 0.95 * digits.total()
    return NumberRuns(in_line, in_column, _in_blocks(lines), len(numbers) if same else 0)


def _in_blocks(lines: Sequence[str]) -> int:
    """Return the length of the longest run of lines without letters that repeats a block of lines."""
    known: dict[str, int] = {}
    # Each line with letters is another one.
    ids = np.array(
        [
            -number - 1
            if any(map(str.isalpha, line))
            else known.setdefault(line.strip(), len(known))
            for number, line in enumerate(lines)
        ],
        dtype=np.int64,
    )
    longest = 0
    for period in range(2, _LONGEST_BLOCK + 1):
        equal = np.concatenate(([False], ids[period:] == ids[:-period], [False]))
        borders = np.flatnonzero(equal[1:] != equal[:-1])
        for start, end in zip(borders[::2], borders[1::2], strict=True):
            block = [WORD.findall(line) for line in lines[start : start + period]]
            if end - start > longest and not _is_scale(block):
                longest = int(end - start)
    return longest


def _is_scale(block: Sequence[Sequence[str]]) -> bool:
    """Return whether a block is one line again and again, or the choices of a questionnaire: 1, 2, 3."""
    if len({tuple(words) for words in block}) == 1:
        return True
    if any(len(words) != 1 or not words[0].isdecimal() for words in block):
        return False
    values = sorted(int(words[0][-_DIGITS:]) for words in block)
    return values == list(range(values[0], values[0] + len(values)))


def _length(numbers: Sequence[str], least_change: float) -> int:
    """Return how many numbers there are if nearly all follow from those before, otherwise 0.

    :param least_change: share of the numbers that differ from those a step before, at least.
    """
    if len(numbers) <= 4 * _LONGEST_STEP:
        return 0
    values = np.array([int(number[-_DIGITS:]) for number in numbers], dtype=np.int64)
    for step in range(1, _LONGEST_STEP + 1):
        change = values[step:] - values[:-step]
        continues = change[step:] == change[:-step]
        if continues.mean() >= _MOSTLY and np.count_nonzero(change) >= least_change * len(change):
            return len(numbers)
    return 0
