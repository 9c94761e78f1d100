"""The result of a page, out of its attempts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import (
    DeepSeekOCRError,
    DocumentError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.unshown import Attachments
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.report import report_of
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.page_result import PageSource, failed_page, page_result
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import RetryStep
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus

PLAN = RecognitionPlan(prompt="free", resolution="small")
AUTO = replace(PLAN, resolution="auto")
SIZE = (700, 900)


def candidate(mode: str, *flags: Flag, error: DeepSeekOCRError | None = None) -> Candidate:
    return Candidate(
        step=RetryStep(mode, resolution=mode),
        resolution=mode,
        quality=report_of(flags),
        text=f"text in {mode}",
        vision_tokens=DEEPSEEK_OCR.resolutions[mode].vision_tokens(),
        seconds=0.5,
        error=error,
    )


def result(*candidates: Candidate, plan: RecognitionPlan = PLAN) -> PageResult:
    return page_result(PageSource(3, SIZE), plan, candidates)


def test_flags_of_the_page_lower_the_score_and_reject_nothing() -> None:
    source = PageSource(
        3, SIZE, (Flag.UNREAD_ATTACHMENTS, Flag.DYNAMIC_FORM), attachments=("a.pdf",)
    )
    page = page_result(source, PLAN, [candidate("small", Flag.LAYER_UNCONFIRMED)])
    assert (page.status, page.error_code) == (PageStatus.OK, None)
    assert page.flags == ("layer_unconfirmed", "dynamic_form", "unread_attachments")
    assert page.score == 0.432
    assert page.attachments == ("a.pdf",)
    (attempt,) = page.attempts
    assert (attempt.score, attempt.flags) == (0.8, ("layer_unconfirmed",))


def test_the_source_of_a_page_has_its_flags() -> None:
    image = Image.new("RGB", (3, 4))
    assert PageSource.of(Page(2, image)) == PageSource(2, (3, 4))
    files = Attachments(1, ("a.pdf",), are_documents=True)
    harmless = Attachments(1, ("a.xml",))
    assert PageSource.of(Page(2, image, None, True, files)).flags == (
        Flag.DYNAMIC_FORM,
        Flag.UNREAD_ATTACHMENTS,
    )
    assert PageSource.of(Page(2, image, None, False, harmless)) == PageSource(
        2, (3, 4), (), ("a.xml",)
    )


def test_the_best_attempt_is_stored_and_all_are_listed() -> None:
    page = result(candidate("small", Flag.LOOP, Flag.NO_TEXT), candidate("base", Flag.LOOP))
    assert (page.number, page.width, page.height) == (3, *SIZE)
    assert (page.text, page.resolution, page.score) == ("text in base", "base", 0.3)
    assert [each.how for each in page.attempts] == ["small", "base"]
    assert page.seconds == 1.0
    assert (page.status, page.error_code, page.retryable) == (PageStatus.FAILED, "loop", False)


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (candidate("small", Flag.LOOP), PageStatus.RECOVERED),
        (candidate("small", Flag.RATIO_CLIFF), PageStatus.OK),
        (candidate("small", Flag.RATIO_CLIFF, Flag.LOOP), PageStatus.RECOVERED),
        (
            candidate("small", error=UnavailableError(ErrorCode.ENGINE_ERROR, "e")),
            PageStatus.RECOVERED,
        ),
    ],
    ids=["rejected", "too long", "both", "error"],
)
def test_a_longer_text_is_no_failure_to_recover_from(first: Candidate, status: PageStatus) -> None:
    page = result(first, candidate("base"))
    assert (page.status, page.error_code, page.error) == (status, None, None)


def test_embedded_text_has_its_own_status() -> None:
    layer = Candidate(step=RetryStep("text_layer", text_layer=True), resolution="", text="embedded")
    assert result(candidate("small", Flag.LOOP), layer).status is PageStatus.TEXT_LAYER
    alone = result(layer, plan=AUTO)
    assert (alone.status, alone.vision_tokens_saved) == (PageStatus.TEXT_LAYER, None)


def test_vision_tokens_saved_by_auto() -> None:
    gundam = DEEPSEEK_OCR.resolutions["gundam"]
    best = gundam.vision_tokens(gundam.grid(*SIZE))
    assert result(candidate("small"), plan=AUTO).vision_tokens_saved == best - 111
    both = result(candidate("small", Flag.LOOP), candidate("base"), plan=AUTO)
    assert both.vision_tokens_saved == best - 111 - 273
    assert result(candidate("small")).vision_tokens_saved is None


def test_an_error_of_the_infrastructure_is_retryable() -> None:
    page = result(candidate("small", error=UnavailableError(ErrorCode.SERVER_TIMEOUT, "slow")))
    assert (page.status, page.error_code, page.error) == (
        PageStatus.FAILED,
        "server_timeout",
        "slow",
    )
    assert page.retryable


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (DocumentError(ErrorCode.DAMAGED_PAGE, "damaged"), False),
        (UnavailableError(ErrorCode.RENDERER_KILLED, "killed"), True),
    ],
)
def test_a_page_without_an_image(error: DeepSeekOCRError, retryable: bool) -> None:
    page = failed_page(2, "auto", error)
    assert (page.number, page.status, page.score) == (2, PageStatus.FAILED, None)
    assert (page.error_code, page.error, page.retryable) == (error.code, str(error), retryable)
    assert page.attempts == ()
