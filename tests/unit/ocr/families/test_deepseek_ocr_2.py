"""DeepSeek-OCR-2's modes, with the numbers of its paper and code."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.ocr.families.deepseek_ocr_2 import DEEPSEEK_OCR_2


@pytest.mark.parametrize(("mode", "tokens"), [("small", 145), ("base", 257), ("gundam", 257)])
def test_vision_tokens_of_a_page_without_tiles(mode: str, tokens: int) -> None:
    assert DEEPSEEK_OCR_2.resolution(mode).vision_tokens() == tokens


@pytest.mark.parametrize(
    ("size", "grid", "tokens"),
    [
        ((768, 768), (1, 1), 257),
        ((769, 768), (2, 2), 833),
        ((1191, 1684), (2, 3), 1121),
        ((1280, 720), (2, 1), 545),
        ((500, 5000), (1, 6), 1121),
    ],
)
def test_tiles(size: tuple[int, int], grid: tuple[int, int], tokens: int) -> None:
    gundam = DEEPSEEK_OCR_2.resolution("gundam")
    assert gundam.grid(*size) == grid
    assert gundam.vision_tokens(grid) == tokens
    assert DEEPSEEK_OCR_2.most_vision_tokens == 1121


@pytest.mark.parametrize("mode", ["tiny", "large"])
def test_modes_of_the_first_model_are_refused(mode: str) -> None:
    with pytest.raises(ConfigurationError, match=r"DeepSeek-OCR-2 has no .*: small, base, gundam"):
        DEEPSEEK_OCR_2.resolution(mode)


def test_the_constraint_is_that_of_the_published_script() -> None:
    decoding = DEEPSEEK_OCR_2.decoding()
    assert (decoding.ngram_size, decoding.ngram_window) == (20, 90)
