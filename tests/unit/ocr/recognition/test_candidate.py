"""Outcomes of attempts: score, rank, and the stored attempt."""

from __future__ import annotations

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.report import QualityReport, report_of
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import measure_agreement
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import RetryStep

BASE = RetryStep("base", resolution="base")
NO_MEMORY = UnavailableError(ErrorCode.OUT_OF_MEMORY, "no memory")


def test_an_attempt_without_output_has_score_0() -> None:
    failed = Candidate(step=BASE, resolution="base", error=NO_MEMORY, seconds=1.5)
    assert failed.score == 0
    attempt = failed.to_attempt()
    assert (attempt.how, attempt.score, attempt.error_code) == ("base", 0, "out_of_memory")
    assert attempt.seconds == 1.5
    assert not failed.failed_by_ratio_alone


def test_the_stored_attempt_has_the_flags_as_text() -> None:
    candidate = Candidate(
        step=BASE,
        resolution="base",
        quality=report_of({Flag.RATIO_KNEE, Flag.LOOP}),
        vision_tokens=273,
        text_tokens=3000,
    )
    attempt = candidate.to_attempt()
    assert attempt.flags == ("loop", "ratio_knee")
    assert (attempt.vision_tokens, attempt.text_tokens) == (273, 3000)
    assert candidate.exceeds_knee
    assert not candidate.failed_by_ratio_alone


def test_a_long_text_alone_is_no_failure_of_the_model() -> None:
    long = Candidate(step=BASE, resolution="base", quality=report_of({Flag.RATIO_CLIFF}))
    assert long.exceeds_knee
    assert long.failed_by_ratio_alone
    assert not Candidate(step=BASE, resolution="base").exceeds_knee


def test_rank_is_score_then_agreement_then_vision_tokens_to_a_text_token() -> None:
    low = Candidate(step=BASE, resolution="base", quality=QualityReport(score=0.4))
    plain = Candidate(step=BASE, resolution="base", vision_tokens=273, text_tokens=100)
    dense = Candidate(step=BASE, resolution="base", vision_tokens=273, text_tokens=900)
    agreeing = Candidate(
        step=BASE, resolution="base", agreement=measure_agreement("a b", "a b"), text_tokens=9999
    )
    ranked = sorted([agreeing, low, dense, plain], key=lambda each: each.rank)
    assert ranked == [low, dense, plain, agreeing]
