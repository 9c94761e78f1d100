"""Bytes of tokens, against the tokenizer of the small checkpoint."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from airflow_deepseek_ocr.model.deepseek_ocr.checkpoint import load_tokenizer
from airflow_deepseek_ocr.model.deepseek_ocr.token_pieces import TokenPieces, token_bytes
from tests.conftest import TINY_MODEL

#: Ids of the small checkpoint, and two behind them.
_IDS = 366


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    return load_tokenizer(TINY_MODEL)


@cache
def pieces() -> TokenPieces:
    return TokenPieces(tokenizer().convert_ids_to_tokens)


@given(st.lists(st.integers(0, _IDS - 1), max_size=60))
def test_all_pieces_together_are_the_decoded_text(ids: list[int]) -> None:
    """Also of incomplete characters, which the tokenizer replaces."""
    joined = b"".join(pieces()(ids)).decode("utf-8", errors="replace")
    assert joined == tokenizer().decode(ids, skip_special_tokens=False)


@given(st.text("aé€🙂 \n0<|/ref>", max_size=40))
def test_a_text_has_the_bytes_of_its_tokens(text: str) -> None:
    ids = tokenizer().encode(text, add_special_tokens=False)
    assert b"".join(pieces()(ids)) == text.encode()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ĠTotal", b" Total"),
        ("Ċ", b"\n"),
        ("Ã", b"\xc3"),
        ("Ń", b"\xad"),
        ("<|ref|>", b"<|ref|>"),
        ("<｜▁pad▁｜>", "<｜▁pad▁｜>".encode()),
    ],
)
def test_bytes_of_names(name: str, expected: bytes) -> None:
    assert token_bytes(name) == expected


def test_an_id_without_a_token_has_no_bytes() -> None:
    assert pieces()([_IDS]) == (b"",)


def test_names_are_asked_for_once() -> None:
    asked: list[list[int]] = []

    def names(ids: list[int]) -> list[str]:
        asked.append(ids)
        return [f"t{each}" for each in ids]

    known = TokenPieces(names)
    assert known([7, 7, 8]) == (b"t7", b"t7", b"t8")
    assert known([8, 9]) == (b"t8", b"t9")
    assert [sorted(ids) for ids in asked] == [[7, 8], [9]]
