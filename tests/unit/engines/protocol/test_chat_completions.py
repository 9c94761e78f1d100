"""Model cards, and lines of prompts."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    OWN,
    Capabilities,
    chat_request,
    own_capabilities,
    prompt_of_line,
)
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2
from airflow_deepseek_ocr.ocr.prompts import PROMPTS, prompt_line


def test_a_card_is_read_as_it_was_written() -> None:
    ours = own_capabilities(
        "m",
        "r",
        Decoding(),
        DEEPSEEK_OCR_2,
        pages=4,
        device="cpu",
        version="1",
        smallest_print=13.0,
    )
    assert Capabilities.of_card(ours.card()) == ours
    plain = Capabilities.of_card({"id": "m", "max_model_len": 8192})
    assert (plain.modes, plain.context_length, plain.version) == (("gundam",), 8192, None)


def test_a_card_without_a_family_is_of_the_expected_one_or_of_an_older_version() -> None:
    assert Capabilities.of_card({"id": "m"}, DEEPSEEK_OCR_2).family is DEEPSEEK_OCR_2
    assert Capabilities.of_card({"id": "m", OWN: {"modes": []}}).modes == ("gundam",)
    older = {"id": "m", OWN: {"version": "1", "modes": ["tiny"]}}
    assert Capabilities.of_card(older, DEEPSEEK_OCR_2).family is DEEPSEEK_OCR
    with pytest.raises(ConfigurationError, match="deepseek_ocr, deepseek_ocr_2") as caught:
        Capabilities.of_card({"id": "m", OWN: {"family": "unlimited_ocr"}})
    assert caught.value.code == ErrorCode.MODEL_FAMILY


@pytest.mark.parametrize(
    "card",
    [
        *({}, {"id": "m", OWN: 3}, {"id": "m", "max_model_len": "x"}),
        *({"id": "m", OWN: {"smallest_print": each}} for each in ("x", -1, float("nan"))),
    ],
)
def test_malformed_cards(card: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        Capabilities.of_card(card)


def test_a_request_that_the_server_does_not_support() -> None:
    server = Capabilities(model="m", prompts=("free",))
    server.require("free", "gundam")
    for prompt, mode, code in (
        ("free", "tiny", ErrorCode.SERVER_MODE),
        ("free", "huge", ErrorCode.UNKNOWN_RESOLUTION),
        ("markdown", "gundam", ErrorCode.SERVER_PROMPT),
        ("no prompt", "gundam", ErrorCode.UNKNOWN_PROMPT),
    ):
        with pytest.raises(ConfigurationError) as caught:
            server.require(prompt, mode)
        assert caught.value.code == code


def test_a_request_has_only_the_fields_that_are_needed() -> None:
    common = {"model": "m", "image_url": "u", "line": "l", "max_tokens": 5, "table_cells": (1,)}
    plain = chat_request(**common, resolution=None, no_repeat_ngram=(0, 0))  # type: ignore[arg-type]
    assert {"mm_processor_kwargs", "vllm_xargs", "ignore_eos"} & set(plain) == set()
    full = chat_request(**common, resolution="tiny", no_repeat_ngram=(30, 90), ignore_eos=True)  # type: ignore[arg-type]
    assert full["mm_processor_kwargs"] == {"resolution": "tiny"}
    assert full["vllm_xargs"]["whitelist_token_ids"] == [1]
    assert full["ignore_eos"] is True


@pytest.mark.parametrize("name", [name for name in PROMPTS if name != "locate"] + ["locate:Total"])
def test_lines_and_names_are_the_same_prompt(name: str) -> None:
    assert prompt_of_line(prompt_line(name)) == prompt_of_line(f" {name}\n") == name


def test_other_lines_are_no_prompt() -> None:
    assert prompt_of_line("Write a poem.") is None
    assert prompt_of_line("Locate <|ref|><|/ref|> in the image.") is None
