"""The guard against repetitions, against a slow reference that follows its definition."""

from __future__ import annotations

import random

import pytest
import torch

from airflow_deepseek_ocr.model.ngram_guard import NGramGuard

VOCABULARY = 6


def banned(generated: list[int], size: int, window: int | None, exempt: set[int]) -> set[int]:
    """Tokens that would complete an n-gram that the window holds already."""
    recent = generated if window is None else generated[-window:]
    tail = recent[len(recent) - size + 1 :] if size > 1 else []
    if len(recent) < size:
        return set()
    found = (recent[start : start + size] for start in range(len(recent) - size + 1))
    return {ngram[-1] for ngram in found if ngram[:-1] == tail} - exempt


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("window", [None, 5, 12])
@pytest.mark.parametrize("prompt", [0, 4])
def test_bans_what_the_definition_bans(size: int, window: int | None, prompt: int) -> None:
    chance = random.Random(f"{size} {window} {prompt}")
    guard = NGramGuard(size, window, prompt, exempt=(2,))
    for length in range(25):
        rows = [[chance.randrange(VOCABULARY) for _ in range(prompt + length)] for _ in range(3)]
        ids = torch.tensor(rows, dtype=torch.long).reshape(3, prompt + length)
        scores = guard(ids, torch.zeros(3, VOCABULARY))
        for row, row_scores in zip(rows, scores, strict=True):
            forbidden = {token for token in range(VOCABULARY) if row_scores[token] == float("-inf")}
            assert forbidden == banned(row[prompt:], size, window, {2})


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        NGramGuard(0, None, 0)
    with pytest.raises(ValueError, match="window"):
        NGramGuard(5, 4, 0)
