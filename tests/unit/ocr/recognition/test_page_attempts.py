"""The state of a page from its first attempt to its result."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.edge_density import EdgeDensity
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput
from airflow_deepseek_ocr.ocr.page_turns import turn
from airflow_deepseek_ocr.ocr.recognition.page_attempts import PageAttempts
from airflow_deepseek_ocr.ocr.recognition.plan import RecognitionPlan
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import (
    TIGHT_NO_REPEAT_NGRAM,
    parse_retry_with,
)
from airflow_deepseek_ocr.ocr.recognition.turning import probe_image
from airflow_deepseek_ocr.ocr.results import PageStatus
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities
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
    assert page.part_count == 1
    part = page.part(0, image)
    assert (part.image, part.resolution, part.no_repeat_ngram) == (image, "small", None)
    assert page.add_output(0, output(GOOD)) == 0
    assert page.is_finished
    result = page.result()
    assert (result.number, result.status, result.text) == (7, PageStatus.OK, GOOD)
    assert (result.width, result.height) == image.size


@pytest.mark.parametrize("prompt", ["markdown", "locate:Total"])
def test_auto_starts_by_the_print_whatever_the_prompt(prompt: str) -> None:
    density = EdgeDensity(text_edges=9000, edges=9000, print_height=9.0)
    page = Page(7, Image.new("RGB", (1654, 2339)), edge_density=density)
    plan = RecognitionPlan(prompt=prompt, resolution="auto", smallest_print=6)
    assert PageAttempts(page, plan).part(0).resolution == "gundam"


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


#: How sure the model is of the page as it lies, and turned.
UNSURE, SURE = -1.5, -0.1


def answering(image: Image.Image, upright: Image.Image) -> PageOutput:
    """Return what a model writes: a text it is sure of where the page is upright, a loop elsewhere."""
    is_upright = image.size == upright.size and image.tobytes() == upright.tobytes()
    text = f"<|ref|>text<|/ref|><|det|>[[10, 10, 990, 400]]<|/det|>\n{GOOD}" if is_upright else LOOP
    return PageOutput(
        key=0,
        text=text,
        finish_reason=FinishReason.STOP,
        vision_tokens=111,
        text_tokens=50,
        seconds=0.5,
        token_probabilities=TokenProbabilities(
            pieces=(b"word ",) * 50, log_probabilities=(SURE if is_upright else UNSURE,) * 50
        ),
    )


def recognise(page: PageAttempts, upright: Image.Image, probed: Image.Image) -> list[str]:
    """Answer until the page is finished; return the mode, and the tokens of limited parts."""
    asked = []
    count = page.part_count
    while count:
        parts = [page.part(number) for number in range(count)]
        asked += [f"{each.prompt} {each.resolution} {each.max_output_length}" for each in parts]
        added = [
            page.add_output(
                number,
                replace(answering(part.image, probed), text=GOOD)
                if part.max_output_length
                else answering(part.image, upright),
            )
            for number, part in enumerate(parts)
        ]
        assert not any(added[:-1])
        count = added[-1]
    return asked


@pytest.mark.parametrize(
    ("rotation", "turns"),
    [(90, [0, 90, 270]), (270, [0, 90, 270]), (180, [0, 180])],
    ids=["on its left side", "on its right side", "on its head"],
)
def test_a_page_that_is_not_upright_is_turned(rotation: int, turns: list[int]) -> None:
    upright = sheet()
    lying = turn(upright, 360 - rotation)
    plan = RecognitionPlan(prompt="markdown", resolution="base", steps=parse_retry_with("turn"))
    page = PageAttempts(Page(1, lying), plan)
    asked = recognise(page, upright, turn(probe_image(lying), rotation))
    probes = ["free small 64"] * len(turns)
    as_it_is = [] if rotation in (90, 270) else ["markdown base None"]
    assert asked == [*as_it_is, *probes, "markdown base None"]
    result = page.result()
    assert (result.rotation, result.resolution, result.score) == (rotation, "base", 1.0)
    assert (result.width, result.height) == lying.size
    assert result.status is (PageStatus.RECOVERED if as_it_is else PageStatus.OK)
    (region,) = result.regions
    assert (
        region.boxes[0].normalized
        == {
            90: (10, 9, 400, 989),
            180: (9, 599, 989, 989),
            270: (599, 10, 989, 990),
        }[rotation]
    )
    assert f"{list(region.boxes[0].normalized)}" in result.text
    comparison = result.attempts[len(as_it_is)]
    assert (comparison.how, comparison.resolution) == ("turn", "small")
    assert (comparison.rotation, comparison.vision_tokens) == (rotation, 111 * len(turns))
    assert result.seconds == 0.5 * len(asked)


def test_an_upright_page_keeps_its_way_and_its_further_steps() -> None:
    upright = sheet()
    page = attempts("turn,turn,no_repeat_ngram", Page(1, upright))
    page.add_output(0, replace(answering(upright, upright), text=LOOP))
    assert page.part_count == 2
    probed = probe_image(upright)
    for number in range(2):
        page.add_output(number, replace(answering(page.part(number).image, probed), text=GOOD))
    part = page.part(0)
    assert part.image.tobytes() == upright.tobytes()
    assert part.no_repeat_ngram == TIGHT_NO_REPEAT_NGRAM


@pytest.mark.parametrize(("mean", "parts"), [(-0.02, 0), (-0.5, 2)], ids=["sure", "doubtful"])
def test_few_words_are_compared_with_their_turns_in_doubt(mean: float, parts: int) -> None:
    page = attempts("turn", Page(1, sheet("Exit left")))
    given = TokenProbabilities(pieces=(b"Exit ", b"left"), log_probabilities=(mean, mean))
    answer = replace(output("Exit left"), token_probabilities=given)
    assert page.add_output(0, answer) == parts
    if parts:
        page.add_output(0, answer)
        assert page.add_output(1, answer) == 0
    assert page.is_finished
    assert (page.result().status, page.result().rotation) == (PageStatus.OK, 0)


def test_slices_are_cut_from_the_turned_page() -> None:
    lying = turn(sheet(), 90)
    page = attempts("turn,slices_2", Page(1, lying))
    assert page.part_count == 3
    probed = turn(probe_image(lying), 270)
    for number in range(3):
        page.add_output(number, replace(answering(page.part(number).image, probed), text=GOOD))
    assert page.add_output(0, output(LOOP)) == 2
    assert sum(page.part(number).image.height for number in range(2)) == 900


@pytest.mark.parametrize("prompt", ["free", "locate:Total"])
def test_turns_are_not_compared_without_probabilities_or_for_other_prompts(prompt: str) -> None:
    plan = RecognitionPlan(prompt=prompt, resolution="small", steps=parse_retry_with("turn"))
    page = PageAttempts(Page(1, sheet()), plan)
    given = answering(sheet(), sheet()).token_probabilities if prompt != "free" else None
    assert page.add_output(0, replace(output(LOOP), token_probabilities=given)) == 0
    assert page.is_finished
