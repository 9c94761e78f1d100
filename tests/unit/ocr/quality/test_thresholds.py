"""The thresholds of the quality checks."""

from __future__ import annotations

from dataclasses import fields, replace

from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.thresholds import DEFAULT_MIN_SCORE, THRESHOLDS, Thresholds


def test_every_threshold_is_documented_and_positive() -> None:
    for each in fields(Thresholds):
        assert getattr(THRESHOLDS, each.name) > 0
        assert f":param {each.name}:" in (Thresholds.__doc__ or "")


def test_thresholds_that_depend_on_each_other_are_in_order() -> None:
    assert THRESHOLDS.cell_words < THRESHOLDS.short_line_words
    assert THRESHOLDS.loop_repeats < THRESHOLDS.short_line_repeats < THRESHOLDS.cell_repeats
    assert THRESHOLDS.ratio_knee < THRESHOLDS.ratio_cliff
    assert THRESHOLDS.blank_text_edges < THRESHOLDS.printed_text_edges
    assert 0 < DEFAULT_MIN_SCORE < 1


def test_another_threshold_changes_the_flags() -> None:
    output = QualityInput(text="text", prompt="free", vision_tokens=10, text_tokens=50)
    assert check_quality(output).flags == ()
    strict = replace(THRESHOLDS, ratio_knee=4.0)
    assert check_quality(output, strict).flags == (Flag.RATIO_KNEE,)
