"""The guard against repetitions, against a slow reference that follows its definition."""

from __future__ import annotations

import random

import pytest
import torch

from airflow_deepseek_ocr.model.ngram_guard import NO_TOKEN, banned_tokens

VOCABULARY = 6
EXEMPT = 2


def reference(generated: list[int], size: int) -> set[int]:
    """Tokens that would complete an n-gram that the window holds already."""
    tail = generated[len(generated) - size + 1 :] if size > 1 else []
    if len(generated) < size:
        return set()
    found = (generated[start : start + size] for start in range(len(generated) - size + 1))
    return {ngram[-1] for ngram in found if ngram[:-1] == tail} - {EXEMPT}


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("window", [5, 12, 25])
def test_bans_what_the_definition_bans(size: int, window: int) -> None:
    chance = random.Random(f"{size} {window}")
    bans = 0
    for _ in range(40):
        letters = chance.choice([1, 2, VOCABULARY])  # few letters repeat even long n-grams
        rows = [
            [chance.randrange(letters) for _ in range(chance.randrange(window + 1))]
            for _ in range(3)
        ]
        recent = torch.tensor([[NO_TOKEN] * (window - len(row)) + row for row in rows])
        banned = banned_tokens(recent, size, VOCABULARY, torch.tensor([EXEMPT]))
        for row, row_banned in zip(rows, banned, strict=True):
            expected = reference(row, size)
            assert {token for token in range(VOCABULARY) if row_banned[token]} == expected
            bans += len(expected)
    assert bans


def test_arguments_are_checked() -> None:
    recent, exempt = torch.zeros(1, 4, dtype=torch.long), torch.tensor([EXEMPT])
    with pytest.raises(ValueError, match="at least 1"):
        banned_tokens(recent, 0, VOCABULARY, exempt)
    with pytest.raises(ValueError, match="window"):
        banned_tokens(recent, 5, VOCABULARY, exempt)
