"""The no-repeat-n-gram constraint, against a slow reference that follows its definition."""

from __future__ import annotations

import random

import pytest
import torch

from airflow_deepseek_ocr.engines.in_process.no_repeat_ngram import (
    NO_TOKEN,
    NoRepeatNgramConstraint,
)

VOCABULARY = 6
EXEMPT = 2
WIDEST = 25


def constraint(rows: int) -> NoRepeatNgramConstraint:
    return NoRepeatNgramConstraint(
        rows=rows, widest=WIDEST, exempt=(EXEMPT,), device=torch.device("cpu")
    )


def reference(generated: list[int], size: int, window: int) -> set[int]:
    """Tokens that would complete an n-gram that the window holds already."""
    generated = generated[-window:]
    tail = generated[len(generated) - size + 1 :] if size > 1 else []
    if not size or len(generated) < size:
        return set()
    found = (generated[start : start + size] for start in range(len(generated) - size + 1))
    return {ngram[-1] for ngram in found if ngram[:-1] == tail} - {EXEMPT}


def latest_first(texts: list[list[int]]) -> torch.Tensor:
    rows = [text[::-1][:WIDEST] for text in texts]
    return torch.tensor([row + [NO_TOKEN] * (WIDEST - len(row)) for row in rows])


@pytest.mark.parametrize("letters", [1, 2, 3, VOCABULARY])
def test_bans_what_the_definition_bans(letters: int) -> None:
    """Each row has a different constraint; few letters repeat even long n-grams."""
    chance = random.Random(letters)
    no_repeat_ngrams = [(0, 25), (1, 5), (2, 5), (3, 12), (5, 5), (5, 25), (12, 20)]
    no_repeat_ngram = constraint(len(no_repeat_ngrams))
    bans = 0
    for _ in range(3):  # texts follow one another in a row
        sizes, windows = (torch.tensor(column) for column in zip(*no_repeat_ngrams, strict=True))
        no_repeat_ngram.reset(torch.arange(len(no_repeat_ngrams)), sizes, windows)
        texts: list[list[int]] = [[] for _ in no_repeat_ngrams]
        for _ in range(60):
            banned = no_repeat_ngram.banned(latest_first(texts), VOCABULARY)
            for text, row, (size, window) in zip(texts, banned, no_repeat_ngrams, strict=True):
                expected = reference(text, size, window)
                assert {token for token in range(VOCABULARY) if row[token]} == expected
                bans += len(expected)
            tokens = [chance.randrange(letters) for _ in no_repeat_ngrams]
            no_repeat_ngram.record(latest_first(texts), torch.tensor(tokens))
            for text, token in zip(texts, tokens, strict=True):
                text.append(token)
        chance.shuffle(no_repeat_ngrams)
    assert bans


def test_a_row_is_reset_while_others_keep_their_counts() -> None:
    no_repeat_ngram = constraint(2)
    no_repeat_ngram.reset(torch.tensor([0, 1]), torch.tensor([3, 3]), torch.tensor([9, 9]))
    texts: list[list[int]] = [[], []]
    for token in (0, 1, 3, 0, 1):
        no_repeat_ngram.record(latest_first(texts), torch.tensor([token, token]))
        for text in texts:
            text.append(token)
    assert no_repeat_ngram.banned(latest_first(texts), VOCABULARY)[:, 3].tolist() == [True, True]
    no_repeat_ngram.reset(torch.tensor([1]), torch.tensor([3]), torch.tensor([9]))
    texts[1] = []
    assert no_repeat_ngram.banned(latest_first(texts), VOCABULARY)[:, 3].tolist() == [True, False]
