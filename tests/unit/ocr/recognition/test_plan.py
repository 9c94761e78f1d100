"""The settings of a run, and checks of prompt and resolution before any page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.recognition.plan import (
    RecognitionPlan,
    check_prompt_and_resolution,
)
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import parse_retry_with

PLAN = RecognitionPlan(prompt="markdown", resolution="base")


@pytest.mark.parametrize(
    ("prompt", "resolution", "code"),
    [
        ("poem", "base", ErrorCode.UNKNOWN_PROMPT),
        ("locate", "base", ErrorCode.PROMPT_TEXT),
        ("free:Total", "base", ErrorCode.PROMPT_TEXT),
        ("free", "huge", ErrorCode.UNKNOWN_RESOLUTION),
        ("free", "", ErrorCode.UNKNOWN_RESOLUTION),
    ],
)
def test_options_that_do_not_exist(prompt: str, resolution: str, code: ErrorCode) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_prompt_and_resolution(prompt, resolution)
    assert caught.value.code is code
    with pytest.raises(ConfigurationError):
        RecognitionPlan(prompt=prompt, resolution=resolution)


@pytest.mark.parametrize("resolution", [*DEEPSEEK_OCR.resolutions, "auto"])
def test_options_that_exist(resolution: str) -> None:
    check_prompt_and_resolution("locate:Total", resolution)


@pytest.mark.parametrize(
    ("min_score", "score", "accepted"),
    [(0.5, 0.5, True), (0.5, 0.49, False), (0, 0.0001, True), (0, 0, False)],
)
def test_accepted_scores(min_score: float, score: float, accepted: bool) -> None:
    assert replace(PLAN, min_score=min_score).accepts(score) is accepted


def test_auto_chooses_from_the_modes_of_the_engine() -> None:
    auto = replace(PLAN, resolution="auto")
    assert auto.first_mode == "small"
    assert auto.auto_modes == ("small", "base", "gundam")
    assert replace(auto, modes=("gundam", "base", "tiny")).auto_modes == ("base", "gundam")
    assert replace(auto, modes=("large",)).first_mode == "large"
    assert PLAN.first_mode == "base"


def test_auto_s_modes_are_those_of_the_model() -> None:
    auto = replace(PLAN, resolution="auto", family=replace(DEEPSEEK_OCR, auto_modes=("tiny",)))
    assert auto.auto_modes == auto.supported_modes == ("tiny",)


def test_the_image_is_needed_again_for_steps_and_for_auto() -> None:
    assert not PLAN.may_retry
    assert replace(PLAN, resolution="auto").may_retry
    assert replace(PLAN, steps=parse_retry_with("text_layer")).may_retry


@pytest.mark.parametrize(
    ("height", "mode"),
    # A4 at 200 dpi: 0.274 in small mode, 0.438 in base, 0.774 in gundam with 2 x 3 tiles.
    [
        (None, "small"),
        (60, "small"),
        (48, "small"),
        (47, "base"),
        (30, "base"),
        (29, "gundam"),
        (3, "gundam"),
    ],
)
def test_auto_starts_with_the_mode_that_shows_the_print_large_enough(
    height: float | None, mode: str
) -> None:
    auto = replace(PLAN, resolution="auto", smallest_print=13)
    assert auto.mode_for_print((1654, 2339), height) == mode
    assert replace(auto, smallest_print=0).mode_for_print((1654, 2339), height) == "small"
    assert replace(PLAN, smallest_print=13).mode_for_print((1654, 2339), height) == "base"


def test_a_page_that_is_wider_than_high_is_squeezed_in_width() -> None:
    auto = replace(PLAN, resolution="auto", smallest_print=13)
    assert auto.mode_for_print((2339, 1654), 47) == "base"
    assert auto.mode_for_print((2339, 1654), 48) == "small"
