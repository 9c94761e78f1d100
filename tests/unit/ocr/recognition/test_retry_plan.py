"""Which attempt is next."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.line_direction import LineDirection
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.report import QualityReport, report_of
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_plan import PlannedAttempt, RetryPlan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import parse_retry_with

LOOP = report_of({Flag.LOOP})
SIZE = (700, 900)


def retry_plan(steps: str, resolution: str = "base", *, has_text_layer: bool = False) -> RetryPlan:
    plan = RecognitionPlan(prompt="free", resolution=resolution, steps=parse_retry_with(steps))
    return RetryPlan(plan, SIZE, has_text_layer=has_text_layer)


def outcome(
    planned: PlannedAttempt,
    quality: QualityReport = LOOP,
    error: DeepSeekOCRError | None = None,
    text_tokens: int = 100,
) -> Candidate:
    return Candidate(
        step=planned.step,
        resolution=planned.resolution,
        quality=quality,
        error=error,
        text_tokens=text_tokens,
    )


def names(plan: RetryPlan) -> list[str]:
    """Return the attempts if each one is rejected."""
    candidates = [outcome(plan.first())]
    while (planned := plan.next(candidates)) is not None:
        candidates.append(outcome(planned))
    return [f"{each.step.name} in {each.resolution}" for each in candidates]


def test_steps_keep_the_mode_of_the_attempt_before() -> None:
    assert names(retry_plan("no_repeat_ngram,gundam,slices_2")) == [
        "base in base",
        "no_repeat_ngram in base",
        "gundam in gundam",
        "slices_2 in gundam",
    ]


def test_the_text_layer_has_no_mode_and_is_skipped_without_a_usable_one() -> None:
    steps = "text_layer,no_repeat_ngram"
    assert names(retry_plan(steps, has_text_layer=True)) == [
        "base in base",
        "text_layer in ",
        "no_repeat_ngram in base",
    ]
    assert names(retry_plan(steps)) == ["base in base", "no_repeat_ngram in base"]


def test_attempts_are_not_repeated() -> None:
    assert names(retry_plan("base,no_repeat_ngram,no_repeat_ngram,slices_2,slices_2")) == [
        "base in base",
        "no_repeat_ngram in base",
        "slices_2 in base",
    ]


def test_nothing_follows_an_accepted_attempt() -> None:
    plan = retry_plan("no_repeat_ngram,base")
    assert plan.next([outcome(plan.first(), QualityReport())]) is None


@pytest.mark.parametrize(
    ("code", "retried"),
    [
        (ErrorCode.OUT_OF_MEMORY, True),
        (ErrorCode.ENGINE_ERROR, True),
        (ErrorCode.SERVER_TIMEOUT, False),
        (ErrorCode.CANCELLED, False),
    ],
)
def test_only_errors_of_the_page_are_retried(code: ErrorCode, retried: bool) -> None:
    plan = retry_plan("no_repeat_ngram")
    failed = outcome(plan.first(), QualityReport(), UnavailableError(code, "failed"))
    assert (plan.next([failed]) is not None) is retried


def test_auto_climbs_before_the_steps() -> None:
    assert names(retry_plan("no_repeat_ngram", "auto")) == [
        "small in small",
        "base in base",
        "gundam in gundam",
        "no_repeat_ngram in gundam",
    ]


@pytest.mark.parametrize(
    ("text_tokens", "flags", "mode"),
    [
        (2730, {Flag.RATIO_KNEE}, "base"),
        (2731, {Flag.RATIO_KNEE}, "gundam"),
        (99_999, {Flag.RATIO_CLIFF}, "gundam"),
        (99_999, {Flag.RATIO_CLIFF, Flag.NO_END_TOKEN}, "base"),
    ],
)
def test_auto_takes_the_cheapest_mode_with_room_for_the_text(
    text_tokens: int, flags: set[Flag], mode: str
) -> None:
    plan = retry_plan("none", "auto")
    planned = plan.next([outcome(plan.first(), report_of(flags), text_tokens=text_tokens)])
    assert planned is not None
    assert planned.resolution == mode


DOUBT = report_of({Flag.UNCERTAIN_NUMBERS})


@pytest.mark.parametrize(
    ("steps", "mode"),
    [
        ("no_repeat_ngram,base,gundam", "gundam"),
        ("slices_2,small", "small"),
        ("no_repeat_ngram,base,slices_2,text_layer", None),
        ("none", None),
    ],
)
def test_an_accepted_page_with_a_doubt_gets_a_second_opinion_in_another_mode(
    steps: str, mode: str | None
) -> None:
    plan = retry_plan(steps, has_text_layer=True)
    candidates = [outcome(plan.first(), DOUBT)]
    planned = plan.next(candidates)
    assert (planned and planned.resolution) == mode
    if planned:
        assert plan.next([*candidates, outcome(planned, DOUBT)]) is None, "there is no third"
        assert plan.next([*candidates, outcome(planned, LOOP)]) is None


def test_a_rejected_page_without_repetitions_needs_no_constraint_against_them() -> None:
    plan = retry_plan("no_repeat_ngram,slices_2")
    low = report_of({Flag.LOW_CONFIDENCE, Flag.UNCERTAIN_NUMBERS})
    planned = plan.next([outcome(plan.first(), low)])
    assert planned is not None
    assert planned.step.name == "slices_2"


def test_auto_starts_with_a_mode_for_the_print_unless_the_page_lies_on_its_side() -> None:
    plan = RecognitionPlan(
        prompt="free", resolution="auto", smallest_print=12, steps=parse_retry_with("turn")
    )

    def first(**options: Any) -> PlannedAttempt:
        return RetryPlan(plan, SIZE, has_text_layer=False, **options).first()

    assert first(print_height=20).resolution == "small"
    assert first(print_height=11).resolution == "base"
    assert first(print_height=8).resolution == "gundam"
    lying = RetryPlan(
        plan, SIZE, has_text_layer=False, print_height=8, line_direction=LineDirection.DOWN
    )
    assert lying.first().probes
    attempt = lying.next([])
    assert attempt is not None
    assert attempt.resolution == "small"
