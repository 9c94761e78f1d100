"""Retry options as users write them."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.decoding import NoRepeatNgram
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    DEFAULT_RETRY_WITH,
    TIGHT_NO_REPEAT_NGRAM,
    TextLayerUse,
    parse_retry_with,
    parse_text_layer_use,
    retry_with_text,
)


def test_steps_as_users_write_them() -> None:
    steps = parse_retry_with(
        " No_Repeat_Ngram, no_repeat_ngram:25/300 ,slices_2,GUNDAM, text_layer"
    )
    assert [step.no_repeat_ngram for step in steps[:2]] == [
        TIGHT_NO_REPEAT_NGRAM,
        NoRepeatNgram(25, 300),
    ]
    assert (steps[2].slices, steps[3].resolution, steps[4].text_layer) == (2, "gundam", True)
    assert (
        retry_with_text(steps)
        == "no_repeat_ngram,no_repeat_ngram:25/300,slices_2,gundam,text_layer"
    )
    assert parse_retry_with(["no_repeat_ngram", "base"]) == parse_retry_with("no_repeat_ngram,base")
    assert parse_retry_with(None) == parse_retry_with("") == parse_retry_with("none") == ()


@pytest.mark.parametrize(
    "wrong", ["again", "no_repeat_ngram:5/90", "no_repeat_ngram:30", "auto", ["no_repeat_ngram", 3]]
)
def test_steps_that_there_are_not(wrong: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_retry_with(wrong)  # type: ignore[arg-type]
    assert caught.value.code in ("retry_with", "no_repeat_ngram")


def test_uses_of_the_layer_that_there_are_not() -> None:
    with pytest.raises(ConfigurationError, match="off, compare, first"):
        parse_text_layer_use("always")


def test_the_default_is_written_as_its_steps_are_stored() -> None:
    assert retry_with_text(parse_retry_with(DEFAULT_RETRY_WITH)) == DEFAULT_RETRY_WITH
    assert retry_with_text(()) == ""


@pytest.mark.parametrize("use", TextLayerUse)
def test_uses_of_the_layer(use: TextLayerUse) -> None:
    assert parse_text_layer_use(use.value) is use
