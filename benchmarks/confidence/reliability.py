"""How far confidence can be believed: reliability, expected calibration error, AUROC, and remedies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

#: Bins of equal width from 0 to 1.
BINS = 10
#: Least probability that logarithms see.
_LEAST = 1e-6


@dataclass(frozen=True)
class Bin:
    """Words of similar confidence.

    :param low: the bin's lower edge; its width is 1 / :data:`BINS`.
    :param words: how many.
    :param confidence: their mean confidence.
    :param right: the share of them that is right.
    """

    low: float
    words: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Reliability:
    """How far the confidence of words can be believed.

    :param words: how many.
    :param right: the share that is right.
    :param confidence: their mean confidence.
    :param error: the expected calibration error: the mean distance of confidence and share of right words
        over all bins, weighted by words.
    :param auroc: the probability that a right word has a higher confidence than a wrong one; None if all are
        right or all wrong.
    :param bins: bins with words, ascending.
    """

    words: int
    right: float
    confidence: float
    error: float
    auroc: float | None
    bins: tuple[Bin, ...]


def measure(confidence: Sequence[float], right: Sequence[bool]) -> Reliability:
    """Return the reliability of words.

    :param confidence: of each word, 0 to 1; at least one word.
    :param right: whether each is right.
    """
    values, correct = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    places = np.minimum((values * BINS).astype(int), BINS - 1)
    bins = tuple(
        Bin(
            low=place / BINS,
            words=int(mine.sum()),
            confidence=float(values[mine].mean()),
            right=float(correct[mine].mean()),
        )
        for place in range(BINS)
        if (mine := places == place).any()
    )
    error = sum(each.words * abs(each.confidence - each.right) for each in bins) / len(values)
    return Reliability(
        words=len(values),
        right=float(correct.mean()),
        confidence=float(values.mean()),
        error=error,
        auroc=_auroc(values, correct),
        bins=bins,
    )


def _auroc(values: np.ndarray, right: np.ndarray) -> float | None:
    """Return the area under the ROC curve by ranks; equal values share their rank."""
    positives, negatives = int(right.sum()), int((~right).sum())
    if not positives or not negatives:
        return None
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[right].sum() - positives * (positives + 1) / 2) / (positives * negatives))


Remedy = Callable[[np.ndarray], np.ndarray]


def fit_exponent(confidence: np.ndarray, right: np.ndarray) -> Remedy:
    """Return ``p ** t`` with the exponent of the highest likelihood: a temperature for products of tokens."""
    exponents = np.geomspace(0.1, 10.0, 201)
    logs = np.log(np.clip(confidence, _LEAST, 1.0))
    losses = []
    for exponent in exponents:
        powers = np.clip(np.exp(exponent * logs), _LEAST, 1 - _LEAST)
        losses.append(-np.where(right, np.log(powers), np.log1p(-powers)).mean())
    best = float(exponents[int(np.argmin(losses))])
    return lambda values: np.clip(values, _LEAST, 1.0) ** best


def fit_isotonic(confidence: np.ndarray, right: np.ndarray) -> Remedy:
    """Return the ascending steps with the least squared error (pool adjacent violators)."""
    order = np.argsort(confidence, kind="stable")
    blocks: list[list[float]] = []
    for x, y in zip(confidence[order], right[order].astype(float), strict=True):
        blocks.append([float(y), 1.0, float(x)])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, weight, edge = blocks.pop()
            before = blocks[-1]
            total = before[1] + weight
            before[0] = (before[0] * before[1] + mean * weight) / total
            before[1], before[2] = total, edge
    edges, levels = np.array([each[2] for each in blocks]), np.array([each[0] for each in blocks])
    return lambda values: levels[np.minimum(np.searchsorted(edges, values), len(levels) - 1)]


def remedied(
    fit: Callable[[np.ndarray, np.ndarray], Remedy],
    confidence: Sequence[float],
    right: Sequence[bool],
    pages: Sequence[int],
) -> Reliability:
    """Return the reliability after a remedy that was fitted on the other half of the pages.

    :param fit: returns the remedy for confidences and whether their words are right.
    :param confidence: of each word.
    :param right: whether each is right.
    :param pages: the number of each word's page. Words of a page stay together, for they err together.
    """
    values, correct = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    half = np.asarray(pages) % 2 == 0
    after = np.empty_like(values)
    for mine in (half, ~half):
        if mine.any() and not mine.all():
            after[mine] = fit(values[~mine], correct[~mine])(values[mine])
        else:
            after[mine] = values[mine]
    return measure(np.clip(after, 0.0, 1.0).tolist(), correct.tolist())
