"""Flags of the model's confidence, and uncertain words."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.confidence.page_confidence import PageConfidence, PageWord
from airflow_deepseek_ocr.ocr.confidence.words import mean_confidence
from airflow_deepseek_ocr.ocr.quality.checks import QualityInput, check_quality
from airflow_deepseek_ocr.ocr.quality.confidence_checks import (
    MAX_UNCERTAIN_WORDS,
    check_confidence,
    is_uncertain_region,
    uncertain_words,
)
from airflow_deepseek_ocr.ocr.quality.flags import Flag
from airflow_deepseek_ocr.ocr.quality.text_layer_checks import Agreement
from airflow_deepseek_ocr.ocr.quality.thresholds import THRESHOLDS
from airflow_deepseek_ocr.ocr.results import Doubt, Region


def words(*confidences: float, text: str = "word") -> list[PageWord]:
    return [
        PageWord(text, number * (len(text) + 1), 0, confidence)
        for number, confidence in enumerate(confidences)
    ]


def page(found: list[PageWord], *regions: Region) -> PageConfidence:
    return PageConfidence(mean_confidence(found), regions, tuple(found))


def flags(confidence: PageConfidence | None, agreement: Agreement | None = None) -> set[Flag]:
    return check_confidence(confidence, agreement, THRESHOLDS)


def agreeing(unordered: float, number: int = 50) -> Agreement:
    return Agreement(
        unordered=unordered,
        ordered=unordered,
        only_in_layer=0,
        only_in_output=0,
        words=number,
    )


LOW, HIGH = THRESHOLDS.page_confidence - 0.05, THRESHOLDS.page_confidence + 0.05


def test_a_page_whose_words_have_a_low_mean() -> None:
    assert flags(page(words(*[LOW] * 10))) == {Flag.LOW_CONFIDENCE}
    assert flags(page(words(*[HIGH] * 10))) == set()
    assert flags(page(words(LOW, LOW))) == set(), "two words are too few for a mean"


def test_without_probabilities_or_words_there_is_no_flag() -> None:
    assert flags(None) == flags(page([])) == set()


@pytest.mark.parametrize(
    ("agreement", "low"), [(agreeing(0.95), False), (agreeing(0.3), True), (agreeing(1, 2), True)]
)
def test_a_text_layer_with_the_same_words_confirms_them(agreement: Agreement, low: bool) -> None:
    assert (Flag.LOW_CONFIDENCE in flags(page(words(*[LOW] * 10)), agreement)) is low


def test_a_region_of_a_page_that_is_otherwise_sure() -> None:
    doubtful = Region("text", "x" * 30, confidence=THRESHOLDS.region_confidence - 0.05)
    assert is_uncertain_region(doubtful)
    assert flags(page(words(*[HIGH] * 10), doubtful)) == {Flag.LOW_CONFIDENCE_REGION}
    assert flags(page(words(*[LOW] * 10), doubtful)) == {Flag.LOW_CONFIDENCE}
    for sure in (
        Region("text", "x" * 30, confidence=THRESHOLDS.region_confidence + 0.05),
        Region("text", "x" * 30),
        Region("text", "7", confidence=0.0),
        Region("table", "<table><tr><td></td><td>7</td></tr></table>", confidence=0.0),
    ):
        assert not is_uncertain_region(sure)


@pytest.mark.parametrize("text", ["12.50", "EUR12", "03/04/2026", "7", "Nr.5", "\u0663"])
def test_a_number_below_its_own_threshold(text: str) -> None:
    low = THRESHOLDS.number_confidence - 0.01
    assert flags(page([*words(1.0, 1.0), *words(low, text=text)])) == {Flag.UNCERTAIN_NUMBERS}
    assert flags(page(words(1.0, 1.0, low))) == set(), "the word has no digit"
    assert flags(page(words(THRESHOLDS.number_confidence, text=text))) == set()


@pytest.mark.parametrize(("prompt", "low"), [("free", True), ("describe", False)])
def test_only_transcripts_are_checked(prompt: str, low: bool) -> None:
    output = QualityInput(text="word", prompt=prompt, confidence=page(words(*[LOW] * 10)))
    report = check_quality(output)
    assert (Flag.LOW_CONFIDENCE in report.flags) is low
    assert (report.score < 0.5) is low


def test_uncertain_words_have_place_and_reasons() -> None:
    low = min(THRESHOLDS.word_confidence, THRESHOLDS.number_confidence) - 0.1
    found = [
        PageWord("sure", 0, 0, 1.0),
        PageWord("unsure", 5, 0, low),
        PageWord("12.50", 12, 1, low),
        PageWord("Ms", 18, 1, 0.98765),
    ]
    unsure, number, other = uncertain_words(found, {3})
    assert (unsure.word, unsure.offset, unsure.length, unsure.region) == ("unsure", 5, 6, 0)
    assert unsure.reasons == (Doubt.LOW_CONFIDENCE,)
    assert number.reasons == (Doubt.LOW_CONFIDENCE, Doubt.UNCERTAIN_NUMBER)
    assert (number.region, number.confidence) == (1, pytest.approx(low))
    assert (other.word, other.reasons, other.confidence) == ("Ms", (Doubt.ATTEMPTS_DIFFER,), 0.9877)


def test_a_page_has_a_bounded_number_of_the_worst() -> None:
    rising = [0.4 * number / 1000 for number in range(1000)]
    found = words(*rising[::-1])
    worst = uncertain_words(found)
    assert len(worst) == MAX_UNCERTAIN_WORDS
    assert max(word.confidence for word in worst) < 0.1
    assert [word.offset for word in worst] == sorted(word.offset for word in worst)
    (long,) = uncertain_words(words(0.1, text="x" * 5000))
    assert (len(long.word), long.length) == (100, 5000)
