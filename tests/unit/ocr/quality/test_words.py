"""Words and tags as the quality checks count them."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.quality.words import HTML_TAG, WORD, count_printed_characters


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Total: 5.00", ["Total", "5", "00"]),
        ("snake_case", ["snake", "case"]),
        ("増えた 한글 ไทย", ["増", "え", "た", "한", "글", "ไ", "ท", "ย"]),
        (" -- ", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert WORD.findall(text) == words


def test_tags_are_not_printed() -> None:
    assert count_printed_characters('<td colspan="2">a1</td> b-c') == 4
    assert HTML_TAG.sub("", "1 < 2 <b>x</b>") == "1 < 2 x"
