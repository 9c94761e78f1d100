"""Writing systems of a text, and characters that no page has."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.quality.scripts import (
    count_mixed_words,
    count_scripts,
    is_no_character,
    script_of,
)


def test_letters_of_each_script_are_counted() -> None:
    assert count_scripts("abc где 漢字かな한글 ①µª") == {"LATIN": 3, "CYRILLIC": 3, "CJK": 6}
    assert count_scripts("12.50 -") == {}


def test_mixed_words_have_two_letters_of_each_alphabet() -> None:
    assert count_mixed_words("iPhone手机 прwetт α-wave μm abcгдеdef") == (2, 6)


@pytest.mark.parametrize(
    ("letter", "script"),
    [("a", "LATIN"), ("я", "CYRILLIC"), ("か", "CJK"), ("한", "CJK"), ("𝒜", None), ("ａ", None)],
)
def test_the_script_of_a_letter(letter: str, script: str | None) -> None:
    assert script_of(letter) == script


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("\ufffd", True),
        ("\ue000", True),
        ("\x00", True),
        ("\ud800", True),
        ("\t", False),
        ("a", False),
    ],
)
def test_characters_that_no_page_has(character: str, expected: bool) -> None:
    assert is_no_character(character) is expected
