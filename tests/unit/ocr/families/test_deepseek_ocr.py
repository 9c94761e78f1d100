"""DeepSeek-OCR's modes, with the numbers of its paper and code."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR


@pytest.mark.parametrize(
    ("mode", "tokens"),
    [("tiny", 73), ("small", 111), ("base", 273), ("large", 421), ("gundam", 273)],
)
def test_vision_tokens_of_a_page_without_tiles(mode: str, tokens: int) -> None:
    assert DEEPSEEK_OCR.resolution(mode).vision_tokens() == tokens


def test_tiles() -> None:
    gundam = DEEPSEEK_OCR.resolution("gundam")
    assert gundam.vision_tokens(gundam.grid(1191, 1684)) == 903
    assert DEEPSEEK_OCR.most_vision_tokens == 273 + 9 * 10 * 11
    assert DEEPSEEK_OCR.max_tiles == 9


def test_small_views_are_squashed_and_large_ones_padded() -> None:
    padded = {name for name, mode in DEEPSEEK_OCR.resolutions.items() if mode.keep_aspect}
    assert padded == {"base", "large", "gundam"}
