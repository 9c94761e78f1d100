"""Reliability of confidence: bins, calibration error, AUROC, and remedies."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.confidence.reliability import fit_exponent, fit_isotonic, measure, remedied

_RNG = np.random.default_rng(7)
_TRUE = _RNG.random(4000)
_RIGHT = _RNG.random(4000) < _TRUE


def test_a_calibrated_confidence_has_no_error() -> None:
    found = measure(_TRUE.tolist(), _RIGHT.tolist())
    assert found.error < 0.03
    assert sum(each.words for each in found.bins) == found.words == 4000
    assert found.auroc == pytest.approx(5 / 6, abs=0.02), "the area for uniform probabilities"


def test_an_overconfident_model_has_the_distance_as_error() -> None:
    found = measure([0.95] * 100, [True] * 60 + [False] * 40)
    assert found.error == pytest.approx(0.35)
    assert found.auroc == pytest.approx(0.5)
    assert [each.low for each in found.bins] == [0.9]


def test_without_wrong_words_there_is_no_auroc() -> None:
    found = measure([0.2, 1.0], [True, True])
    assert found.auroc is None
    assert found.error == pytest.approx(0.4)


@pytest.mark.parametrize("fit", [fit_exponent, fit_isotonic])
def test_a_remedy_lowers_the_error_on_pages_that_it_has_not_seen(fit: object) -> None:
    overconfident = _TRUE**0.3
    pages = np.arange(4000) // 10
    before = measure(overconfident.tolist(), _RIGHT.tolist())
    after = remedied(fit, overconfident.tolist(), _RIGHT.tolist(), pages.tolist())  # type: ignore[arg-type]
    assert before.error > 0.2
    assert after.error < 0.04


def test_isotonic_steps_ascend() -> None:
    remedy = fit_isotonic(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True]))
    assert remedy(np.array([0.0, 0.1, 0.2, 0.3, 0.35, 0.9])).tolist() == [0, 0, 0.5, 0.5, 1, 1]
