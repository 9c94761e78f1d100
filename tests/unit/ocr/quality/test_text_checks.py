"""Flags that need the output's text alone: repetitions, tables, markup, characters."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.quality.flags import Flag
from tests.corpus.model_outputs.languages import SENTENCES
from tests.support.fixtures.model_output import PROSE, flags_of, region


@pytest.mark.parametrize(
    "text",
    [
        f"{PROSE} " + "the program of " * 8,
        f"{PROSE} " + "the program of " * 8 + "an end that it found again.",
        "\n".join([PROSE, *["A line that comes again and again and again."] * 15]),
        f"{PROSE} " + "abab" * 20,
        "今年第一季度的销售额" + "增长了" * 12,
        "\n".join(f"{number}. The total of the" for number in range(1, 80)),
    ],
    ids=["at the end", "within", "lines", "letters", "without spaces", "counting"],
)
def test_loops(text: str) -> None:
    assert Flag.LOOP in flags_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "Total " + ". " * 120 + "12",
        "Signature: " + "_" * 300,
        "\n".join(["1 x Tea 2.80"] * 8),
        "\n".join(["yes"] * 30),
        "0.00 " * 60,
        "n/a " * 8,
        "Very, very, very, very, very good.",
        "<table>" + "<tr><td></td><td></td></tr>" * 40 + "</table>",
        "<table>" + "<tr><td>M8</td><td>steel</td></tr>" * 6 + "</table>",
    ],
)
def test_legitimate_repetitions_are_no_loop(text: str) -> None:
    assert flags_of(text) == set()


def test_lines_that_repeat_earlier_lines() -> None:
    lines = [f"{sentence}" for sentence in SENTENCES["english"][:4]]
    shuffled = [lines[i] for i in (0, 1, 2, 3, 1, 3, 0, 2, 2, 0, 1, 3, 3, 1, 0, 2, 1, 0)]
    assert Flag.REPEATED_LINES in flags_of("\n".join(shuffled))
    assert Flag.REPEATED_LINES not in flags_of("\n".join(shuffled[:8]))


def test_a_stammer_is_flagged_although_it_is_no_loop() -> None:
    parts = ["the state of the project", "a compare of the form", "may be accepted as a wish"]
    order = [0, 1, 2, 1, 0, 2, 2, 0, 1, 0, 0, 1, 2, 0, 2, 1, 1, 2, 0, 1]
    text = " ".join(parts[i] for i in order)
    assert flags_of(text) == {Flag.REPEATED_WORDS}


def test_few_different_words() -> None:
    letters = [chr(ord("A") + i * i % 7) for i in range(400)]
    assert Flag.REPEATED_WORDS in flags_of("\n".join(letters))


def test_the_end_of_a_table_repeats() -> None:
    row = "<tr><td>Paper white</td><td>4</td></tr>"
    assert Flag.REPEATED_LINES in flags_of(f"<table>{row * 20}</table>")
    assert flags_of(f"<table>{row * 10}</table>") == set()


def test_a_loop_within_a_cell() -> None:
    cell = "the price of " * 20
    assert Flag.LOOP in flags_of(f"<table><tr><td>a</td><td>{cell}</td></tr></table>")


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", Flag.RAGGED_TABLE),
        ("<table><tr><td>a</td><td>b</td></tr>", Flag.BROKEN_TABLE),
        ("<table><tr><td>a", Flag.BROKEN_TABLE),
        ("a</td></tr></table>", Flag.BROKEN_TABLE),
        ("<tr><td>a</td></tr>", Flag.BROKEN_TABLE),
    ],
)
def test_ragged_and_broken_tables(text: str, flag: Flag) -> None:
    assert flags_of(text) == {flag}


@pytest.mark.parametrize(
    "text",
    [
        "<|ref|>title",
        "<|ref|>title<|/ref|><|det|>[[1, 2, 3",
        "done <|/det|>",
        "done <|re",
        "done <|",
        r"A formula \( a + b",
        r"\[ \frac{a}{b}",
        r"\[ \begin{pmatrix} a & b \]",
    ],
)
def test_open_markup(text: str) -> None:
    assert flags_of(text, "markdown") == {Flag.OPEN_MARKUP}


def test_a_new_row_in_a_matrix_opens_no_formula() -> None:
    assert flags_of(r"\[ \begin{cases} a \\[2pt] b \end{cases} \] and \( x < |y| \)") == set()


def test_references_where_the_prompt_asks_for_none() -> None:
    assert flags_of(region("text")) == {Flag.STRAY_MARKUP}
    assert flags_of("a <|/ref|> b") == {Flag.STRAY_MARKUP}


def test_characters_that_no_page_has() -> None:
    assert flags_of(PROSE + "\ufffd\ue000\x00\x07\ud800" * 2) == {Flag.NO_CHARACTERS}
    assert flags_of(PROSE + "\u200b\u00ad\ufeff\t\n") == set()


def test_scripts() -> None:
    assert flags_of(" ".join(f"wo{word}rd" for word in SENTENCES["russian"][0].split())) == {
        Flag.MIXED_SCRIPTS
    }
    assert flags_of("\n".join(SENTENCES["russian"] + SENTENCES["english"])) == set()
    assert flags_of(SENTENCES["russian"][0], scripts=frozenset({"LATIN"})) == {Flag.MIXED_SCRIPTS}
    assert flags_of(SENTENCES["russian"][0], scripts=frozenset({"CYRILLIC"})) == set()
