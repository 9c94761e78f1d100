"""Pictures of pages, described in the stream of pages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.recognition.figures import FIGURE_PROMPT, MOST_FIGURES
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.results import FIGURES, PageResult, PageStatus
from tests.support.fakes.scripted_engine import GOOD, LOOP, Script, ScriptedEngine, sheet

CHART = "<|ref|>image<|/ref|><|det|>[[100, 500, 300, 900]]<|/det|>"
DOT = "<|ref|>image<|/ref|><|det|>[[10, 10, 12, 12]]<|/det|>"
TEXT = f"<|ref|>text<|/ref|><|det|>[[0, 0, 999, 400]]<|/det|>\n{GOOD}\n\n"


def read(script: Script, *, describes_figures: bool = True, pages: int = 1) -> list[PageResult]:
    engine = ScriptedEngine(script)
    reader = Reader(
        lambda: engine,
        "markdown",
        "small",
        min_score=0.0,
        describes_figures=describes_figures,
    )
    return [page for _, page in reader.read([(n, Page(n, sheet())) for n in range(1, pages + 1)])]


def test_each_picture_is_read_once_with_the_figure_prompt() -> None:
    crops: list[Image.Image] = []

    def script(request: PageRequest) -> str | PageOutput:
        if request.prompt != FIGURE_PROMPT:
            return TEXT + CHART + DOT
        crops.append(request.image)
        return PageOutput(
            key=request.key,
            text=" A chart of sales.\n",
            finish_reason=FinishReason.STOP,
            vision_tokens=100,
            text_tokens=5,
            seconds=0.5,
        )

    plain, described = (
        read(script, describes_figures=False)[0],
        read(script)[0],
    )
    # Small pictures are not described.
    assert [region.description for region in described.regions] == [
        None,
        "A chart of sales.",
        None,
    ]
    width, height = sheet().size
    assert crops[0].size == pytest.approx((width * 0.2, height * 0.4), abs=2)
    last = described.attempts[-1]
    assert (last.how, last.vision_tokens, last.text_tokens) == (FIGURES, 100, 5)
    assert (described.read_count, len(described.attempts)) == (1, 2)
    assert described.seconds == plain.seconds + 0.5
    assert described.text == plain.text
    assert [region.description for region in plain.regions] == [None] * 3
    assert len(plain.attempts) == 1


def test_what_the_model_cannot_describe_stays_empty() -> None:
    answers: list[str | UnavailableError] = [
        LOOP * 3,
        UnavailableError(ErrorCode.SERVER_TIMEOUT, "too slow"),
    ]

    def script(request: PageRequest) -> str | UnavailableError:
        return answers.pop() if request.prompt == FIGURE_PROMPT else TEXT + CHART * 2

    engine = ScriptedEngine(script)
    reader = Reader(lambda: engine, "markdown", "small", min_score=0.5, describes_figures=True)
    ((_, page),) = reader.read([(1, Page(1, sheet()))])
    assert page.status is PageStatus.OK
    assert [region.description for region in page.regions] == [None] * 3
    assert page.attempts[-1].error_code == "server_timeout"


def test_pages_mix_in_one_stream_and_pictures_are_bounded() -> None:
    def script(request: PageRequest) -> str:
        return "A figure." if request.prompt == FIGURE_PROMPT else TEXT + CHART * 25

    pages = read(script, pages=3)
    assert [page.number for page in sorted(pages, key=lambda page: page.number)] == [1, 2, 3]
    for page in pages:
        found = [region.description for region in page.regions]
        assert found.count("A figure.") == MOST_FIGURES


def test_a_failed_page_has_no_descriptions() -> None:
    prompts: list[str] = []

    def script(request: PageRequest) -> str:
        prompts.append(request.prompt)
        return LOOP * 3 + CHART

    engine = ScriptedEngine(script)
    reader = Reader(lambda: engine, "markdown", "small", min_score=0.9, describes_figures=True)
    ((_, page),) = reader.read([(1, Page(1, sheet()))])
    assert (page.status, prompts) == (PageStatus.FAILED, ["markdown"])


def test_a_page_that_cannot_be_rendered_again_keeps_its_text() -> None:
    def gone() -> Image.Image:
        raise UnavailableError(ErrorCode.RENDERER_KILLED, "killed")

    engine = ScriptedEngine(lambda _: TEXT + CHART * 2)
    reader = Reader(lambda: engine, "markdown", "small", min_score=0.0, describes_figures=True)
    page = replace(Page(1, sheet()), render_again=gone)
    ((_, result),) = reader.read([(1, page)])
    assert result.status is PageStatus.OK
    assert result.attempts[-1].error_code == "renderer_killed"
    assert len(engine.order) == 1
