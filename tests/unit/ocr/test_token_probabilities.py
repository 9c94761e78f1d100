"""Probabilities of generated tokens."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities


def test_a_character_may_be_split_between_tokens() -> None:
    tokens = TokenProbabilities(pieces=(b"na\xc3", b"\xafve"), log_probabilities=(-0.1, -0.2))
    assert tokens.text == "naïve"


def test_an_incomplete_character_is_replaced() -> None:
    assert TokenProbabilities(pieces=(b"a\xf0\x9f",), log_probabilities=(-1.0,)).text == "a\ufffd"


@pytest.mark.parametrize(
    ("log_probabilities", "runner_up"), [((), None), ((-0.1, -0.2), None), ((-0.1,), ())]
)
def test_each_token_has_its_probability(
    log_probabilities: tuple[float, ...], runner_up: tuple[float, ...] | None
) -> None:
    with pytest.raises(ValueError, match="Each token needs one probability"):
        TokenProbabilities(pieces=(b"a",), log_probabilities=log_probabilities, runner_up=runner_up)


def test_each_token_has_one_runner_up() -> None:
    with pytest.raises(ValueError, match="Each token needs one probability"):
        TokenProbabilities(pieces=(b"a",), log_probabilities=(-0.1,), runner_up_pieces=(b"b", b"c"))
