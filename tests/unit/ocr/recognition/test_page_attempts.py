"""The state of a page from its first attempt to its result."""

from __future__ import annotations

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput
from airflow_deepseek_ocr.ocr.recognition.page_attempts import PageAttempts
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    TIGHT_NO_REPEAT_NGRAM,
    parse_retry_with,
)
from airflow_deepseek_ocr.ocr.results import PageStatus
from tests.support.fakes.scripted_engine import GOOD, LAYER, LOOP, sheet


def attempts(steps: str, page: Page | None = None) -> PageAttempts:
    plan = RecognitionPlan(prompt="free", resolution="small", steps=parse_retry_with(steps))
    return PageAttempts(page or Page(7, sheet()), plan)


def output(text: str, reason: FinishReason = FinishReason.STOP) -> PageOutput:
    return PageOutput(
        key=0, text=text, finish_reason=reason, vision_tokens=111, text_tokens=50, seconds=0.5
    )


def test_an_accepted_output_finishes_the_page() -> None:
    page = attempts("no_repeat_ngram")
    image = sheet()
    part = page.first_part(image)
    assert (part.image, part.resolution, part.no_repeat_ngram) == (image, "small", None)
    assert page.add_output(0, output(GOOD)) == 0
    assert page.is_finished
    result = page.result()
    assert (result.number, result.status, result.text) == (7, PageStatus.OK, GOOD)
    assert (result.width, result.height) == image.size


def test_a_rejected_output_asks_for_the_whole_page_again() -> None:
    page = attempts("no_repeat_ngram")
    assert page.add_output(0, output(LOOP)) == 1
    assert not page.is_finished
    part = page.part(0)
    assert part.image.tobytes() == sheet().tobytes()
    assert part.no_repeat_ngram == TIGHT_NO_REPEAT_NGRAM


def test_an_attempt_in_slices_ends_with_its_last_slice() -> None:
    page = attempts("slices_2")
    assert page.add_output(0, output(LOOP)) == 2
    heights = [page.part(number).image.height for number in range(2)]
    assert sum(heights) == 900
    assert page.add_output(1, output("the lower half")) == 0
    assert not page.is_finished
    assert page.add_output(0, output("the upper half")) == 0
    result = page.result()
    assert result.text == "the upper half\nthe lower half"
    assert (result.vision_tokens, result.text_tokens, result.seconds) == (222, 100, 1.5)


def test_one_slice_without_end_token_counts_for_the_page() -> None:
    page = attempts("slices_2")
    page.add_output(0, output(LOOP))
    page.add_output(0, output("upper", FinishReason.LENGTH))
    page.add_output(1, output("lower"))
    assert "no_end_token" in page.result().attempts[-1].flags


def test_slices_are_skipped_where_the_image_has_too_few_rows() -> None:
    page = attempts("slices_4,no_repeat_ngram", Page(1, sheet(height=3)))
    assert page.add_output(0, output(LOOP)) == 1
    assert page.part(0).no_repeat_ngram == TIGHT_NO_REPEAT_NGRAM


def test_the_text_layer_needs_no_output() -> None:
    page = attempts("text_layer", Page(1, sheet(), LAYER))
    assert page.add_output(0, output(LOOP)) == 0
    assert page.is_finished
    assert page.result().status is PageStatus.TEXT_LAYER


def test_a_finished_page_takes_no_output() -> None:
    page = attempts("none")
    page.add_output(0, output(GOOD))
    with pytest.raises(ValueError, match="page 7 is finished"):
        page.add_output(0, output(GOOD))


def test_another_attempt_renders_the_page_again() -> None:
    rendered = []

    def render() -> Image.Image:
        rendered.append(sheet())
        return rendered[-1]

    page = attempts("slices_2,no_repeat_ngram", Page(7, sheet(), render_again=render))
    assert rendered == [], "most pages have one attempt"
    assert page.add_output(0, output(LOOP)) == 2
    assert rendered == [], "the thread that takes outputs does not wait for it"
    heights = [page.part(number).image.height for number in range(2)]
    assert sum(heights) == 900
    assert len(rendered) == 1
    page.add_output(0, output(LOOP))
    page.add_output(1, output(LOOP))
    assert page.part(0).image is rendered[1]


def test_a_page_that_cannot_be_rendered_again_keeps_its_best_attempt() -> None:
    gone = UnavailableError(ErrorCode.RENDERER_KILLED, "killed")

    def render() -> Image.Image:
        raise gone

    page = attempts("no_repeat_ngram", Page(7, sheet(), render_again=render))
    page.add_output(0, output(LOOP))
    with pytest.raises(UnavailableError):
        page.part(0)
    page.add_output(0, PageOutput(key=0, error=gone))
    assert page.is_finished
    assert [each.error_code for each in page.result().attempts] == [None, "renderer_killed"]
    assert page.result().text == LOOP
