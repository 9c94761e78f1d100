"""Words in which attempts at a page differ, and further attempts at uncertain pages."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.recognition.attempt_differences import differing_words
from airflow_deepseek_ocr.ocr.recognition.candidate import Candidate
from airflow_deepseek_ocr.ocr.recognition.combined_output import combine_outputs
from airflow_deepseek_ocr.ocr.recognition.retry_strategy import RetryStep
from airflow_deepseek_ocr.ocr.results import Doubt, PageStatus
from tests.support.fakes.scripted_engine import GOOD, LOOP, ScriptedEngine, read
from tests.support.fixtures.token_probabilities import with_probabilities

TEXT = "Dear Ms Miller, the total of 12.50 is due on the first of May"
STEP = RetryStep("base", resolution="base")


def candidate(text: str) -> Candidate:
    combined = combine_outputs([with_probabilities(text)], [], text_in_ref=False, size=(700, 900))
    return Candidate(step=STEP, resolution="base", text=text, confidence=combined.confidence)


@pytest.mark.parametrize(
    ("other", "differing"),
    [
        (TEXT, []),
        (TEXT.replace("12.50", "12.80"), ["12.50"]),
        (TEXT.replace("Ms Miller,", "Mr Millar"), ["Ms", "Miller,"]),
        (TEXT.replace("May", "June"), ["May"]),
        # Punctuation, and words that one of them lacks
        (TEXT.replace("Miller,", "Miller").replace("May", "May."), []),
        (TEXT.removesuffix(" on the first of May"), []),
        (TEXT + " and later", []),
        ("another text about other things that has nothing of this at all", []),
        ("", []),
    ],
)
def test_words_with_another_word_in_their_place(other: str, differing: list[str]) -> None:
    best = candidate(TEXT)
    assert best.confidence is not None
    found = differing_words(best, [candidate(other), best])
    assert [best.confidence.words[index].text for index in sorted(found)] == differing


def test_attempts_without_words_are_not_compared() -> None:
    best = candidate(TEXT)
    other = TEXT.replace("12.50", "12.80")
    layer = Candidate(step=RetryStep("text_layer", text_layer=True), resolution="", text=other)
    failed = Candidate(
        step=STEP, resolution="base", error=UnavailableError(ErrorCode.OUT_OF_MEMORY, "full")
    )
    assert differing_words(best, [best, layer, failed]) == frozenset()
    assert differing_words(layer, [layer, best]) == frozenset()


def test_texts_longer_than_any_page_are_not_compared() -> None:
    long = "\u4e00" * 20_001
    best, other = candidate(TEXT), candidate(long)
    longer = candidate("\u4e01" + long)
    assert differing_words(best, [best, other]) == frozenset()
    assert differing_words(other, [other, longer]) == frozenset()


def test_an_uncertain_page_is_tried_again_and_the_surer_output_kept() -> None:
    def script(request: PageRequest) -> PageOutput:
        sure = {"small": 0.2, "base": 0.98}[request.resolution]
        return with_probabilities(GOOD, sure=sure, key=request.key)

    (page,) = read(ScriptedEngine(script), steps="no_repeat_ngram,base")
    assert (page.status, page.resolution, page.flags) == (PageStatus.RECOVERED, "base", ())
    assert page.confidence is not None
    assert 0.9 < page.confidence < 1
    low, high = page.attempts
    assert (low.flags[0], low.how, high.how) == ("low_confidence", "small", "base")
    assert low.confidence is not None
    assert low.confidence < 0.2
    assert page.uncertain_words == ()


def test_a_page_that_stays_uncertain_fails_with_its_words() -> None:
    engine = ScriptedEngine(lambda each: with_probabilities(GOOD, sure=0.2, key=each.key))
    (page,) = read(engine, steps="none")
    assert (page.status, page.error_code, page.text) == (
        PageStatus.FAILED,
        "low_confidence",
        GOOD,
    )
    assert len(page.uncertain_words) > 20


def test_a_second_opinion_marks_the_words_that_differ() -> None:
    text = "The total of 12.50 is due on the first of May."

    def script(request: PageRequest) -> PageOutput:
        if request.resolution == "base":
            return with_probabilities(text.replace("May", "June"), sure=0.99, key=request.key)
        return with_probabilities(text, {"12": 0.3}, key=request.key)

    (page,) = read(ScriptedEngine(script), steps="no_repeat_ngram,base")
    assert (page.status, page.resolution) == (PageStatus.OK, "base")
    assert len(page.attempts) == 2
    assert page.attempts[0].flags == ("uncertain_numbers",)
    (word,) = page.uncertain_words
    assert (word.word, word.reasons) == ("June.", (Doubt.ATTEMPTS_DIFFER,))
    assert page.text[word.offset : word.offset + word.length] == "June."


def test_a_second_opinion_that_brings_nothing_better_changes_no_result() -> None:
    text = "The total of 12.50 is due on the first of May."

    def script(request: PageRequest) -> PageOutput | str:
        return (
            LOOP
            if request.resolution == "base"
            else with_probabilities(text, {"12": 0.3}, key=request.key)
        )

    (page,) = read(ScriptedEngine(script), steps="base")
    assert (page.status, page.resolution, page.text) == (PageStatus.OK, "small", text)
    assert page.flags == ("uncertain_numbers",)
    assert [each.how for each in page.attempts] == ["small", "base"]
