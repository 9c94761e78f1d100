"""Tokens of characters: bytes of characters, broken bytes, edits and joins."""

from __future__ import annotations

import math

import pytest

from airflow_deepseek_ocr.ocr.confidence.text_tokens import TextTokens, join_tokens, tokens_of
from airflow_deepseek_ocr.ocr.markup.box_rewriting import Edit
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities


def probabilities(*tokens: tuple[bytes | str, float]) -> TokenProbabilities:
    """Return tokens with their probabilities."""
    pieces = tuple(each.encode() if isinstance(each, str) else each for each, _ in tokens)
    return TokenProbabilities(
        pieces=pieces, log_probabilities=tuple(math.log(each) for _, each in tokens)
    )


def found(text: str, *tokens: tuple[bytes | str, float]) -> TextTokens:
    tokens_of_text = tokens_of(text, probabilities(*tokens))
    assert tokens_of_text is not None
    return tokens_of_text


def product(tokens: TextTokens, start: int, end: int) -> float:
    (found,) = tokens.probabilities([start], [end - start])
    return pytest.approx(found)


def test_characters_have_all_tokens_with_a_part_of_them() -> None:
    euro = "€".encode()
    tokens = found("a €5 b", ("a", 0.5), (b" " + euro[:1], 0.6), (euro[1:], 0.7), ("5 b", 0.8))
    assert product(tokens, 0, 1) == 0.5
    assert product(tokens, 2, 3) == 0.6 * 0.7
    assert product(tokens, 2, 4) == 0.6 * 0.7 * 0.8
    assert product(tokens, 5, 6) == 0.8
    assert tokens.probabilities([0, 2], [1, 2]) == pytest.approx([0.5, 0.6 * 0.7 * 0.8])
    assert tokens.probabilities([], []) == []


def test_tokens_without_bytes_count_for_no_character() -> None:
    tokens = found("ab", ("", 0.1), ("a", 0.5), ("", 0.1), ("b", 0.6), ("", 0.1))
    assert product(tokens, 0, 1) == 0.5
    assert product(tokens, 1, 2) == 0.6


def test_broken_bytes_are_one_character_each_sequence() -> None:
    text = b"a\xe2\x82b\xff\x80c".decode(errors="replace")
    tokens = found(
        text, ("a", 0.9), (b"\xe2", 0.5), (b"\x82", 0.4), (b"b\xff\x80", 0.3), ("c", 1.0)
    )
    assert text == "a\ufffdb\ufffd\ufffdc"
    assert product(tokens, 1, 2) == 0.5 * 0.4
    assert product(tokens, 2, 5) == 0.3
    assert product(tokens, 5, 6) == 1.0
    garbage = TokenProbabilities(pieces=(b"\xff",) * 300, log_probabilities=(0.0,) * 300)
    assert tokens_of(garbage.text, garbage) is None


def test_an_engine_may_strip_the_text() -> None:
    tokens = found("word", (" \n", 0.1), (" wo", 0.5), ("rd", 0.6), ("\n", 0.2))
    assert product(tokens, 0, 2) == 0.5
    assert product(tokens, 0, 4) == 0.5 * 0.6


def test_tokens_of_another_text_are_none() -> None:
    assert tokens_of("text", None) is None
    assert tokens_of("text", probabilities(("other", 0.5))) is None
    assert tokens_of("", probabilities()) is not None


def test_values_that_are_no_probabilities() -> None:
    pieces = (b"a", b"b", b"c", b"d")
    strange = TokenProbabilities(
        pieces=pieces, log_probabilities=(float("-inf"), float("nan"), -9999.0, 0.3)
    )
    tokens = tokens_of("abcd", strange)
    assert tokens is not None
    assert product(tokens, 0, 1) == product(tokens, 1, 2) == product(tokens, 2, 3) == 0
    assert tokens.probabilities([3], [1]) == [1.0]


def test_the_mean_of_numbers_leaves_other_tokens_out() -> None:
    tokens = found("[1, 22]", ("[", 0.1), ("1", 0.9), (",", 0.1), (" 22", 0.4), ("]", 0.1))
    mean = tokens.mean_of_numbers(0, 7)
    assert mean == pytest.approx((math.log(0.9) + math.log(0.4)) / 2)
    assert tokens.mean_of_numbers(0, 1) is None


def test_an_edited_part_has_the_tokens_of_the_part_before() -> None:
    tokens = found("ab [1] cd", ("ab ", 0.9), ("[", 1.0), ("1", 0.5), ("]", 1.0), (" cd", 0.8))
    edited = tokens.edited([Edit(3, 6, len("[1000]"))])
    text = "ab [1000] cd"
    assert len(edited.first) == len(edited.end) == len(text)
    assert product(edited, 3, 9) == 0.5
    assert edited.mean_of_numbers(3, 9) == pytest.approx(math.log(0.5))
    assert product(edited, 0, 2) == 0.9
    assert product(edited, 10, 12) == 0.8
    assert tokens.edited([]) is tokens


def test_joined_texts() -> None:
    joined = join_tokens([found("ab", ("ab", 0.5)), found("7", ("7", 0.6))], "\n")
    assert len(joined.first) == len("ab\n7")
    assert product(joined, 0, 2) == 0.5
    assert product(joined, 2, 3) == 1.0
    assert product(joined, 3, 4) == 0.6
    assert product(joined, 0, 4) == 0.3
    assert joined.mean_of_numbers(0, 4) == pytest.approx(math.log(0.6))
