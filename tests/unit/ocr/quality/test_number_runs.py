"""Numbers that count on, and few numbers over and over."""

from __future__ import annotations

import random

import pytest

from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.number_runs import NumberRuns, find_number_runs
from tests.support.fixtures.model_output import flags_of


def test_no_numbers() -> None:
    assert find_number_runs([]) == NumberRuns()
    assert find_number_runs(["some words", ""]) == NumberRuns()


@pytest.mark.parametrize("separator", [" ", ", ", ". ", " - "])
@pytest.mark.parametrize("step", [1, 5, -1])
def test_counting_on_one_line(separator: str, step: int) -> None:
    run = [str(1000 + step * number) for number in range(150)]
    assert find_number_runs(["Days", separator.join(run)]).in_line == 150
    random.Random(1).shuffle(run)
    assert find_number_runs([separator.join(run)]).in_line == 0


def test_dates_count_on_over_the_ends_of_months() -> None:
    days = [f"{day:02}.{month:02}.2026" for month in range(1, 5) for day in range(1, 31)]
    assert find_number_runs([" ".join(days)]).in_line == 360


def test_a_line_of_text_with_numbers_is_no_line_of_numbers() -> None:
    line = " ".join(f"item {number}" for number in range(200))
    assert find_number_runs([line]).in_line == 0


def test_a_column_that_counts_on() -> None:
    column = list(map(str, range(1, 201)))
    assert find_number_runs(["Page", *column, "end"]).in_column == 200
    assert find_number_runs(["0"] * 200).in_column == 0
    interrupted = [each for number in column for each in (number, "a word")]
    assert find_number_runs(interrupted).in_column == 0


def test_blocks_of_numbers() -> None:
    assert find_number_runs(["4711", "-12.50", "0.00"] * 30).in_blocks == 87
    assert find_number_runs(["1", "2", "3", "4", "5"] * 30).in_blocks == 0, "choices"
    assert find_number_runs(["0.00"] * 90).in_blocks == 0, "a column"


def test_one_digit() -> None:
    text = random.Random(1).choices(["-3", "-33", "3-3"], k=250)
    assert find_number_runs(text).one_digit >= 250
    assert find_number_runs(["0"] * 300).one_digit == 0
    assert find_number_runs(["31"] * 300).one_digit == 0


ADDRESS = "Anna Berg\nGarden Street 5\n10115 Berlin\nGermany\n"


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        (ADDRESS * 18, Flag.LOOP),
        (ADDRESS * 30, Flag.LOOP),
        (" ".join(random.Random(2).choices(["-3", "-33", "3-3"], k=250)), Flag.REPEATED_WORDS),
        (" ".join(map(str, range(1, 366))), Flag.LOOP),
        ("<table><tr><td>" + " ".join(map(str, range(1, 366))) + "</td></tr></table>", Flag.LOOP),
        (f"<table>{'<tr><td>Anna</td></tr><tr><td>Berlin</td></tr>' * 25}</table>", Flag.LOOP),
        ("4711\n-12.50\n0.00\n" * 40, Flag.LOOP),
    ],
)
def test_loops_of_short_lines_and_numbers_are_flagged(text: str, flag: Flag) -> None:
    assert flag in flags_of(text)


@pytest.mark.parametrize(
    "text",
    [
        ADDRESS * 5,
        " ".join(map(str, range(1, 32))),
        "\n".join(" ".join(map(str, range(n, n + 10))) for n in range(1, 100, 10)),
        "\n".join(map(str, range(1, 61))),
        "Roll 0.45\n" * 10,
        "".join(f"{month}\nMo Tu We Th Fr Sa Su\n1 2 3 4 5 6 7\n8 9 10\n" for month in "ABCDEFGH"),
    ],
    ids=["labels", "days", "hundred", "line numbers", "receipt", "calendar"],
)  # fmt: skip
def test_pages_of_short_lines_and_numbers_are_right(text: str) -> None:
    assert flags_of(text) == set()
