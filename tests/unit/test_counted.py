"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.counted import counted, listed, pages_per_second, shortened


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 pages"), (1, "1 page"), (2, "2 pages"), (1024, "1,024 pages")]
)
def test_one_is_singular(number: int, text: str) -> None:
    assert counted(number, "page") == text


def test_a_plural_may_be_irregular() -> None:
    assert counted(3, "batch", "batches") == "3 batches"
    assert counted(1, "batch", "batches") == "1 batch"


def test_a_list_of_reasons_ends_with_the_number_of_the_others() -> None:
    assert listed({"a": "damaged"}) == "a (damaged)"
    assert listed({"a": "damaged", "b": 2}) == "a (damaged), b (2)"
    assert len(listed({"n" * 10_000 + str(each): "x" for each in range(20)})) < 4000
    assert listed({str(name): "x" for name in range(1011)}).endswith(", 9 (x) and 1,001 more")


def test_names_and_reasons_break_no_line_of_a_log() -> None:
    assert listed({"a\nb": "c\n::group::d"}) == r"a\nb (c\n\x3a\x3agroup::d)"


@pytest.mark.parametrize(
    ("pages", "text"), [(1, "0.10 pages/s"), (14, "1.4 pages/s"), (24000, "2,400 pages/s")]
)
def test_speeds_have_about_two_digits(pages: int, text: str) -> None:
    assert pages_per_second(pages, 10) == text


def test_long_texts_say_how_long_they_are() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd" * 1000, 3) == "abc... (4,000 characters)"
