"""Decoding settings."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.decoding import Decoding, NoRepeatNgram


@pytest.mark.parametrize(("size", "window"), [(10, 10), (20, 200), (512, 512)])
def test_constraints_within_the_limits(size: int, window: int) -> None:
    assert NoRepeatNgram(size, window).ngram_window == window


@pytest.mark.parametrize(("size", "window"), [(9, 90), (30, 29), (20, 513), (0, 0)])
def test_constraints_beyond_the_limits(size: int, window: int) -> None:
    with pytest.raises(ConfigurationError, match=r"at least 10 tokens.* at most 512") as caught:
        NoRepeatNgram(size, window)
    assert caught.value.code is ErrorCode.NO_REPEAT_NGRAM


def test_defaults_are_those_of_the_published_scripts() -> None:
    decoding = Decoding()
    assert (decoding.max_output_length, decoding.ngram_size, decoding.ngram_window) == (
        8192,
        30,
        90,
    )
    assert not decoding.forced
