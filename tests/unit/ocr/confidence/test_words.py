"""The words of regions, and their stored confidence."""

from __future__ import annotations

import time

import pytest

from airflow_deepseek_ocr.ocr.confidence.words import (
    Word,
    find_words,
    mean_confidence,
    region_words,
)
from airflow_deepseek_ocr.ocr.results import Region


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Dear Ms Miller,\nthank you", "Dear|Ms|Miller,|thank|you"),
        ("", ""),
        (" \n\t ", ""),
        ("Total: 1,234.56 EUR (12/03/2024)", "Total:|1,234.56|EUR|(12/03/2024)"),
        # Marks of Markdown
        ("# Invoice *no.* 7", "Invoice|no.|7"),
        ("- one\n  * two\n> three\n3. four", "one|two|three|3.|four"),
        ("**bold** _slanted_ `code` __both__", "bold|slanted|code|both"),
        ("A - B -5 #7 a_b 2*3", "A|-|B|-5|#7|a_b|2*3"),
        ("|Item|Price|\n|:---|---:|\n| tea | 2 |", "Item|Price|tea|2"),
        ("|A|B|C|\n|:-:|:-|-:|\n| - | | 2 |", "A|B|C|-|2"),
        ("Name: ______ ----- ***", "Name:"),
        ("x___y__ \\(z\\) (a) \\[b]", "x___y|z|(a)|b]"),
        # Tables
        (
            '<table><tr><td colspan="2">Net sum</td><td>5</td></tr><!-- x --></table>',
            "Net|sum|5",
        ),
        # Formulas
        (r"\( x_1 \) is \(a<b\) \[ \frac{a}{b} \] 3 < 4 > 2", "x_1|is|a<b|\\frac{a}{b}|3|<|4|>|2"),
        # Scripts without spaces
        ("価格は5円", "価|格|は|5|円"),
        ("ราคา ที่นี่", "ร|า|ค|า|ที่|นี่"),
        ("전체 가격", "전체|가격"),
    ],
)
def test_words(text: str, words: str) -> None:
    found = find_words(text)
    assert [word.text for word in found] == [word for word in words.split("|") if word]
    assert all(text[word.start : word.end] == word.text for word in found)


@pytest.mark.parametrize("piece", ["<a ", "-", "|:-", "\\(", "a<", "\t", "<!--", "*x", "\n- ", "_"])
def test_any_text_takes_linear_time(piece: str) -> None:
    start = time.perf_counter()
    find_words(piece * 50_000)
    find_words(f"x{piece * 50_000}x_")
    assert time.perf_counter() - start < 5


def test_stored_confidence_of_words() -> None:
    region = Region("text", "Total **5**", confidence=0.8, word_confidences=(99, 40))
    assert region_words(region) == [Word("Total", 0, 0.99), Word("5", 8, 0.4)]


@pytest.mark.parametrize("percents", [None, (), (99,)])
def test_a_corrected_text_has_no_confidence(percents: tuple[int, ...] | None) -> None:
    region = Region("text", "Total 5", word_confidences=percents)
    assert [word.confidence for word in region_words(region)] == [None, None]


def test_the_mean_is_weighted_by_characters() -> None:
    words = [Word("abc", 0, 1.0), Word("d", 4, 0.2), Word("unknown", 6)]
    assert mean_confidence(words) == pytest.approx(0.8)
    assert mean_confidence([Word("unknown", 0)]) is None
    assert mean_confidence([]) is None


def test_a_cell_has_the_words_between_its_start_and_end() -> None:
    text = "<td>tea</td><td>5 kg</td>"
    region = Region("table", text, word_confidences=(90, 40, 100))
    start = text.index("5")
    cell = [word for word in region_words(region) if start <= word.start < start + 4]
    assert mean_confidence(cell) == pytest.approx((0.4 + 2 * 1.0) / 3)
