"""The breaking of words into lines of known widths, by dynamic programming."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Words of one line, at most: a line of print has 10 to 20.
_WIDEST = 80
#: Weight of a word too many or too few, in characters: a word has 4 characters of a line's width.
_WORD_WEIGHT = 4.0
#: Words on a line on average, from which gaps between columns tell words apart. In lines of few words most
#: gaps are those of columns: an invoice has 32 of 32 words right without this term, 28 with it.
_LEAST_WORDS = 3.0
#: Share of the words by which the number of gaps may differ from theirs, so that gaps tell words apart. Wide
#: letters, such as those of a fax, have gaps as wide as those between words.
_MOST_MISCOUNTED = 0.05
#: Lines times words, at most. Beyond that, words are spread in proportion to the lines' widths.
_MOST_WORK = 2_000_000


def break_lines(lengths: Sequence[int], widths: Sequence[int], counts: Sequence[int]) -> list[int]:
    """Return for each line the number of words up to its end.

    The breaks have the least squared error of widths, and of numbers of words.

    :param lengths: characters of each word, with the space after it.
    :param widths: width of each line's print in pixels.
    :param counts: number of words of each line, by its gaps.
    """
    words, lines = len(lengths), len(widths)
    sums = np.concatenate(([0], np.cumsum(lengths))).astype(float)
    unit = sum(widths) / max(1.0, sums[-1] - lines)
    if lines * words > _MOST_WORK or words > _WIDEST * lines:
        return _in_proportion(sums, widths)
    gaps_tell_words = abs(sum(counts) - words) <= _MOST_MISCOUNTED * words
    counted = gaps_tell_words and words >= _LEAST_WORDS * lines
    weight = (_WORD_WEIGHT * unit) ** 2 if counted else 0.0
    reach = min(words, _WIDEST) + 1
    # Row `end`, column `many`: the line that ends after `end` words has `many` of them.
    many = np.arange(reach)
    before = np.arange(words + 1)[:, None] - many
    valid = before >= 0
    before = np.where(valid, before, 0)
    length = np.maximum(sums[:, None] - sums[before] - 1, 0) * unit
    best = np.full(words + 1, np.inf)
    best[0] = 0.0
    back = np.zeros((lines, words + 1), dtype=np.int16)
    for line in range(lines):
        costs = (length - widths[line]) ** 2 + weight * (many - counts[line]) ** 2
        totals = np.where(valid, best[before] + costs, np.inf)
        back[line] = totals.argmin(axis=1)
        best = totals.min(axis=1)
    if not np.isfinite(best[words]):
        return _in_proportion(sums, widths)
    ends, end = [], words
    for line in reversed(range(lines)):
        ends.append(end)
        end -= int(back[line, end])
    return ends[::-1]


def _in_proportion(sums: np.ndarray, widths: Sequence[int]) -> list[int]:
    """Return ends of lines whose shares of the characters are those of their widths."""
    shares = np.cumsum(widths) / max(1, sum(widths)) * sums[-1]
    ends = np.searchsorted(sums, shares - 0.5).tolist()
    ends[-1] = len(sums) - 1
    return [int(min(end, len(sums) - 1)) for end in ends]
