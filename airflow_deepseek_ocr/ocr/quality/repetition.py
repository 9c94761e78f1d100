"""Repetitions in a text: loops, and the share of it that repeats earlier text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from airflow_deepseek_ocr.ocr.quality.words import WORD

#: Longest detected period in words: a sentence or a few lines.
_LONGEST_PERIOD = 64
#: Words of the n-grams that count as repeated, as in the Gopher rules (Rae et al. 2021, arXiv:2112.11446,
#: table A1: duplicate 5-grams).
_NGRAM = 5
#: Fewest words of a line of prose; columns of cells and receipts have shorter lines, which repeat.
_PROSE_LINE = 6
#: Lines without letters that may be equal.
_MONTHS = 12
#: Fewest words of a line that can stammer.
_LONG_LINE = 60
#: Fewest words of a line in which numbers alone can stammer.
_LONG_LINE_OF_NUMBERS = 150
#: A few characters repeated without a space: 1 to 8 of them, four times or more.
_LONGEST_STUTTER = 8
_STUTTER = re.compile(rf"([^\W_]{{1,{_LONGEST_STUTTER}}}?)\1{{3,}}")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Loop:
    """A sequence of words that repeats without a break.

    :param repeats: number of repetitions, at least 2; 0 without a loop.
    :param words: words of all repetitions but the first.
    :param letters: characters of these words, a character of scripts without spaces counting as 3.
    :param words_in_line: words to a line, on average over the loop.
    :param lines: lines of one repetition, on average; less than 1 for several repetitions in a line.
    """

    repeats: float = 0.0
    words: int = 0
    letters: int = 0
    words_in_line: float = 0.0
    lines: float = 0.0


@dataclass(frozen=True)
class Repetition:
    """Repetitions of a text.

    :param words: number of words with letters.
    :param loop: the longest loop with letters in it.
    :param counting_loop: the same where numbers count as equal.
    :param stammer: share of the words of long lines (60 words or more; 150 for numbers alone) inside 5-grams
        that occur earlier in the same line. Across lines, clauses and answers repeat legitimately.
    :param distinct: different words with letters as a share of all of them; 1 without words.
    :param same_lines: share of the characters in lines of prose that repeat an earlier line.
    :param repeated_lines: number of such lines.
    :param stutter: characters of the longest piece without spaces that repeats 1 to 8 characters, a
        letter among them.
    """

    words: int
    loop: Loop
    counting_loop: Loop
    stammer: float
    distinct: float
    same_lines: float
    repeated_lines: int
    stutter: int


def find_repetition(lines: Sequence[str]) -> Repetition:
    """Return the repetitions of these lines, in time linear in their length."""
    words: list[str] = []
    long_words = stammered = 0
    line_of: list[int] = []
    same = _SameLines()
    for number, line in enumerate(lines):
        found = WORD.findall(line)
        words += found
        line_of += [number] * len(found)
        if len(found) >= _PROSE_LINE:
            same.add(line.strip())
        if len(found) >= _LONG_LINE:
            long_words += len(found)
            stammered += _seen_before(found)
    # Words are tested once for each different one: most of a page's words occur several times.
    with_letters = {word for word in set(words) if word.isalpha() or any(map(str.isalpha, word))}
    has_letters = [word in with_letters for word in words]
    lettered = [word for word in words if word in with_letters]
    loop = _longest_loop(words, has_letters, line_of)
    counted = [word if word.isalpha() else _DIGITS.sub("0", word) for word in words]
    return Repetition(
        words=len(lettered),
        loop=loop,
        counting_loop=loop if counted == words else _longest_loop(counted, has_letters, line_of),
        stammer=stammered / long_words if long_words else 0.0,
        distinct=len(set(lettered)) / len(lettered) if lettered else 1.0,
        same_lines=same.share,
        repeated_lines=same.repeated,
        stutter=max(map(len, _stutters(lines)), default=0),
    )


def _longest_loop(words: Sequence[str], lettered: Sequence[bool], line_of: Sequence[int]) -> Loop:
    """Return the longest loop.

    :param lettered: which words have letters.
    :param line_of: the line of each word.
    """
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    ids = [numbers[word] for word in words]
    equal, size = _equal_after(ids, min(_LONGEST_PERIOD, len(words) // 2)), len(words)
    has_letters = np.cumsum([0, *lettered])
    best = Loop()
    for period in range(1, min(_LONGEST_PERIOD, size // 2) + 1):
        row = (period - 1) * size
        if equal.find(b"\1" * (best.words + period + 1), row, row + size) < 0:
            continue  # no longer loop than the best
        found = np.frombuffer(equal, bool, size - period, row)
        same = np.concatenate(([False], found, [False]))
        borders = np.flatnonzero(same[1:] != same[:-1])
        starts, ends = borders[::2], borders[1::2]
        in_letters = has_letters[ends + period] > has_letters[starts]
        runs = np.where(in_letters & (ends - starts >= period), ends - starts, 0)
        at = int(runs.argmax())
        run = int(runs[at])
        # A loop of p words is one of 2 p words as well: the shorter period comes first and stays.
        if run > best.words + period:
            start, end = int(starts[at]), int(ends[at]) + period
            in_lines = line_of[end - 1] - line_of[start] + 1
            letters = sum(
                len(word) if word.isascii() else max(3, len(word))
                for word in words[start + period : end]
            )
            per_line = (end - start) / in_lines
            best = Loop(run / period + 1, run, letters, per_line, period / per_line)
    return best


def _equal_after(ids: Sequence[int], periods: int) -> bytes:
    """Return whether each word is equal to the word a period later, for the periods from 1 on.

    All at once: each operation of NumPy on a page's words releases the interpreter lock, for which the
    threads of a task wait.

    :return: a byte, 0 or 1, for each period and word; 0 where no word is a period later.
    """
    count = len(ids)
    padded = np.array([*ids, *[-1] * periods], dtype=np.int32)
    later = np.lib.stride_tricks.as_strided(padded[1:], (periods, count), padded.strides * 2)
    equal: bytes = (later == padded[:count]).tobytes()
    return equal


def _seen_before(words: Sequence[str]) -> int:
    """Return the number of words inside n-grams that occur earlier."""
    numbers = len(words) >= _LONG_LINE_OF_NUMBERS
    seen: set[tuple[str, ...]] = set()
    covered = last = 0
    for start in range(len(words) - _NGRAM + 1):
        ngram = tuple(words[start : start + _NGRAM])
        if ngram in seen and (numbers or any(map(str.isalpha, "".join(ngram)))):
            covered += start + _NGRAM - max(start, last)
            last = start + _NGRAM
        seen.add(ngram)
    return covered


class _SameLines:
    """Counts lines that repeat earlier lines."""

    def __init__(self) -> None:
        self.repeated = 0
        self._seen: Counter[str] = Counter()
        self._same = self._total = 0

    def add(self, line: str) -> None:
        self._total += len(line)
        # The weeks of a calendar repeat each month.
        least = 1 if any(map(str.isalpha, line)) else _MONTHS
        if self._seen[line] >= least:
            self._same += len(line)
            self.repeated += 1
        self._seen[line] += 1

    @property
    def share(self) -> float:
        return self._same / self._total if self._total else 0.0


def _stutters(lines: Sequence[str]) -> Iterator[str]:
    if not _may_stutter("\n".join(lines)):
        return
    for line in lines:
        for match in _STUTTER.finditer(line):
            if any(map(str.isalpha, match[1])):
                yield match[0]


def _may_stutter(text: str) -> bool:
    """Return False for most texts without a stutter, in a tenth of the time of the expression."""
    characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    for period in range(1, min(_LONGEST_STUTTER, len(characters) // 4) + 1):
        equal = characters[period:] == characters[:-period]
        if b"\1" * (3 * period) in equal.tobytes():
            return True
    return False
