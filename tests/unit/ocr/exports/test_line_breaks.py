"""Words on lines of known widths."""

from __future__ import annotations

from itertools import pairwise

from airflow_deepseek_ocr.ocr.exports.line_breaks import break_lines


def test_lines_get_words_by_width() -> None:
    assert break_lines([5, 5, 5, 5, 5, 5], [10, 20], [2, 4]) == [2, 6]


def test_gaps_decide_where_widths_do_not() -> None:
    lengths = [3, 3, 3, 9, 3, 3, 3, 3]
    assert break_lines(lengths, [90, 150], [3, 5]) == [3, 8]


def test_all_words_are_on_a_line_however_uneven_the_lines_are() -> None:
    assert break_lines([4] * 7, [1, 1], [0, 0])[-1] == 7
    assert break_lines([4] * 500, [10], [500]) == [500]
    assert break_lines([], [10, 10], [1, 1]) == [0, 0]


def test_very_long_texts_are_spread_in_proportion() -> None:
    ends = break_lines([5] * 20_000, [10] * 400, [50] * 400)
    assert (len(ends), ends[-1]) == (400, 20_000)
    assert all(40 <= after - before <= 60 for before, after in pairwise(ends))


def test_miscounted_gaps_are_ignored() -> None:
    # Three lines of 20, 30 and 20 letters; the second one's wide letters have gaps like those between words.
    lengths = [5, 5, 5, 6, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6]
    assert break_lines(lengths, [200, 300, 200], [4, 12, 4]) == [4, 10, 14]
