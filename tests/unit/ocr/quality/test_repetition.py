"""Repetitions in a text."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.quality.repetition import find_repetition


def test_repetition_of_nothing() -> None:
    found = find_repetition([])
    assert (found.loop.repeats, found.stammer, found.distinct, found.same_lines) == (0, 0, 1, 0)


def test_a_loop_is_measured_without_its_first_repetition() -> None:
    found = find_repetition(["A start, then", "the same words " * 5])
    assert (found.loop.repeats, found.loop.words, found.loop.words_in_line) == (5, 12, 15)
    assert found.loop.letters == 4 * len("thesamewords")
    assert find_repetition(["all words here differ"]).loop.repeats == 0


def test_numbers_alone_are_no_loop() -> None:
    assert find_repetition(["0.00 " * 60]).loop.repeats == 0


def test_numbers_count_as_equal_in_a_counting_loop() -> None:
    found = find_repetition([f"{number}. The total" for number in range(1, 21)])
    assert found.counting_loop.repeats == 20
    assert found.loop.repeats < 20


def test_lines_of_prose_that_repeat() -> None:
    line = "one two three four five six"
    found = find_repetition([line, "another line with six words here", line, line])
    assert found.repeated_lines == 2
    assert 0.4 < found.same_lines < 0.6
    assert find_repetition(["short line"] * 5).repeated_lines == 0


def test_different_words() -> None:
    found = find_repetition(["a b a b 1 2"])
    assert (found.words, found.distinct) == (4, pytest.approx(0.5))


def test_a_stutter_has_letters_and_no_space() -> None:
    assert find_repetition(["abab" * 5]).stutter == 20
    assert find_repetition(["1212" * 5]).stutter == 0
    assert find_repetition(["____" * 5]).stutter == 0
