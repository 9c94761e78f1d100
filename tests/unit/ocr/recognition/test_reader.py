"""Which reading of a page is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.text_layer import TextLayer
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.recognition.reader import Reader
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import TextLayerUse, parse_retry_with
from airflow_deepseek_ocr.ocr.results import PageStatus
from tests.corpus.model_outputs.languages import SENTENCES
from tests.support.fakes.scripted_engine import (
    GOOD,
    LAYER,
    LOOP,
    WORSE,
    ScriptedEngine,
    no_engine,
    read,
    sheet,
)


def test_a_good_reading_is_the_only_one() -> None:
    engine = ScriptedEngine(lambda _: GOOD)
    (page,) = read(engine)
    assert (page.status, page.score, page.flags, page.markdown) == (PageStatus.OK, 1, (), GOOD)
    assert [attempt.how for attempt in page.attempts] == ["small"]
    assert page.vision_tokens_saved is None
    assert engine.order == [("small", "")]


@pytest.mark.parametrize(
    ("min_score", "status", "readings"),
    [(0, PageStatus.OK, 1), (0.12, PageStatus.OK, 1), (0.13, PageStatus.FAILED, 2)],
)
def test_the_user_says_from_which_score_on_a_reading_is_accepted(
    min_score: float, status: PageStatus, readings: int
) -> None:
    engine = ScriptedEngine(lambda _: LOOP)
    reader = Reader(
        lambda: engine,
        "free",
        "small",
        steps=parse_retry_with("no_repeat_ngram"),
        min_score=min_score,
    )
    ((_, page),) = reader.read([(1, Page(1, sheet()))])
    assert (page.status, len(page.attempts)) == (status, readings)
    assert page.flags == ("loop", "repeated_words"), "they are stored in any case"


def test_the_best_reading_is_kept_not_the_last() -> None:
    answers = {"small": WORSE, "base": LOOP, "large": WORSE}
    engine = ScriptedEngine(lambda request: answers[request.resolution])
    (page,) = read(engine, steps="base,large")
    assert (page.status, page.resolution, page.text) == (PageStatus.FAILED, "base", LOOP)
    assert page.error_code == "loop"
    assert "retry_with" in (page.error or "")
    assert not page.retryable
    assert [each.how for each in page.attempts] == ["small", "base", "large"]
    assert page.score == max(each.score for each in page.attempts)


def test_of_equally_good_readings_the_one_that_agrees_more_with_the_layer_is_kept() -> None:
    half = "\n".join(SENTENCES["english"][:4])
    answers = {"small": half + LOOP[len(GOOD) :], "base": LOOP}
    engine = ScriptedEngine(lambda request: answers[request.resolution])
    (page,) = read(engine, Page(1, sheet(), TextLayer(GOOD)), steps="base")
    assert page.resolution == "base"
    assert page.agreement is not None
    assert page.agreement_ordered is not None
    assert 0.5 < page.agreement_ordered <= page.agreement < 1


def test_without_text_layers_nothing_is_compared() -> None:
    german = " ".join(SENTENCES["german"])
    engine = ScriptedEngine(lambda _: german)
    (page,) = read(engine, Page(1, sheet(), LAYER), use="off")
    assert (page.status, page.agreement) == (PageStatus.OK, None)
    (page,) = read(engine, Page(1, sheet(), LAYER), use="compare")
    assert page.status is PageStatus.TEXT_LAYER
    assert "layer_disagrees" in page.attempts[0].flags
    (page,) = read(engine, Page(1, sheet(), LAYER), prompt="describe")
    assert (page.status, page.agreement) == (PageStatus.OK, None)


def test_pages_with_a_sound_layer_need_no_model() -> None:
    reader = Reader(no_engine, "markdown", "base", text_layer_use=TextLayerUse.FIRST)
    pages = (("a", Page(number, sheet(), LAYER)) for number in range(1, 4))
    results = [page for _, page in reader.read(pages)]
    assert [page.status for page in results] == [PageStatus.TEXT_LAYER] * 3
    assert [page.markdown for page in results] == [GOOD] * 3
    assert (results[0].width, results[0].height) == (700, 900)


def test_pages_with_and_without_a_layer_in_any_order() -> None:
    layered = {n for n in range(1, 36) if n % 7 not in (0, 3) and not 20 < n < 30}
    pages = [Page(n, sheet(), LAYER if n in layered else None) for n in range(1, 36)]
    engine = ScriptedEngine(lambda _: GOOD)
    results = read(engine, *pages, use="first")
    assert [page.number for page in results] == list(range(1, 36))
    kept = {page.number for page in results if page.status is PageStatus.TEXT_LAYER}
    assert kept == layered
    assert len(engine.order) == 35 - len(layered)


def test_pages_without_the_model_are_handed_on_while_others_wait_for_it() -> None:
    """Not kept until a long document has been drawn."""
    drawn = 0

    def pages() -> Iterator[tuple[int, Page]]:
        nonlocal drawn
        image = sheet(height=200)
        for number in range(1, 201):
            drawn += 1
            yield number, Page(number, image, None if number == 1 else LAYER)

    engine = ScriptedEngine(lambda _: GOOD)
    reader = Reader(lambda: engine, "free", "small", text_layer_use=TextLayerUse.FIRST)
    most = 0
    for taken, _ in enumerate(reader.read(pages()), start=1):
        most = max(most, drawn - taken)
    assert drawn == 200
    assert most < 80


@pytest.mark.parametrize(("code", "again"), [("engine_error", True), ("server_timeout", False)])
def test_errors(code: str, again: bool) -> None:
    def script(request: PageRequest) -> str | DeepSeekOCRError:
        return GOOD if request.no_repeat_ngram else UnavailableError(code, "no")

    (page,) = read(ScriptedEngine(script), Page(1, sheet(), LAYER))
    if again:
        assert page.status is PageStatus.RECOVERED
        assert page.attempts[0].error_code == code
    else:
        assert (page.status, page.error_code, page.retryable) == (PageStatus.FAILED, code, True)
        assert len(page.attempts) == 1
