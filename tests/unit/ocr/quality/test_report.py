"""Flags and score of an output."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.quality.flags import WEIGHTS, Flag
from airflow_deepseek_ocr.ocr.quality.report import report_of
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE


def test_every_flag_has_a_weight_and_the_score_is_their_product() -> None:
    assert set(WEIGHTS) == set(Flag)
    assert all(0 < weight < 1 for weight in WEIGHTS.values())
    assert report_of(set()).score == 1
    both = report_of({Flag.LOOP, Flag.RATIO_KNEE})
    assert both.flags == (Flag.LOOP, Flag.RATIO_KNEE)
    assert both.score == pytest.approx((1 - WEIGHTS[Flag.LOOP]) * (1 - WEIGHTS[Flag.RATIO_KNEE]))
    assert both.worst_flag is Flag.LOOP
    assert report_of(set()).worst_flag is None


def test_a_light_flag_alone_refuses_nothing() -> None:
    for flag, weight in WEIGHTS.items():
        accepted = report_of({flag}).score >= DEFAULT_MIN_SCORE
        assert accepted is (weight <= 0.5)
    assert report_of({Flag.RATIO_KNEE}).score == 0.9
    assert report_of({Flag.RATIO_CLIFF}).score == 0.45


def test_the_score_of_output_is_never_0() -> None:
    assert report_of(set(Flag)).score == 0.0001


def test_flags_are_in_the_order_of_the_enum() -> None:
    assert report_of({Flag.ONLY_IN_OUTPUT, Flag.LOOP, Flag.NO_TEXT}).flags == (
        Flag.LOOP,
        Flag.NO_TEXT,
        Flag.ONLY_IN_OUTPUT,
    )
