"""Confidence of words, boxes, regions and a page."""

from __future__ import annotations

import math

import pytest

from airflow_deepseek_ocr.ocr.confidence.page_confidence import PageConfidence, measure_confidence
from airflow_deepseek_ocr.ocr.confidence.text_tokens import tokens_of
from airflow_deepseek_ocr.ocr.markup.grounding import parse_with_places
from airflow_deepseek_ocr.ocr.token_probabilities import TokenProbabilities

TOKENS: tuple[tuple[str, float], ...] = (
    ("<|ref|>", 0.9),
    ("title", 0.9),
    ("<|/ref|>", 0.9),
    ("<|det|>", 0.9),
    ("[[1, 2,", 0.81),
    (" 30", 0.81),
    (", 4]]", 0.81),
    ("<|/det|>", 0.9),
    ("\n# ", 0.2),
    ("In", 0.5),
    ("voice\n\n", 0.8),
    ("<|ref|>image<|/ref|><|det|>[[1,2,3,4]]<|/det|>\n", 1.0),
    ("<|ref|>table<|/ref|><|det|>[[5,6,7,8]]<|/det|>\n", 1.0),
    ("<table><tr><td>", 0.3),
    ("Tea", 1.0),
    ("</td><td>", 0.3),
    ("1", 0.9),
    ("2.5", 0.5),
    ("</td></tr></table>", 0.3),
)


def measured(*tokens: tuple[str, float]) -> PageConfidence:
    text = "".join(piece for piece, _ in tokens)
    found = tokens_of(
        text,
        TokenProbabilities(
            pieces=tuple(piece.encode() for piece, _ in tokens),
            log_probabilities=tuple(math.log(each) for _, each in tokens),
        ),
    )
    assert found is not None
    placed = parse_with_places(text, text_in_ref=False, width=1998, height=999)
    confidence = measure_confidence(placed, found)
    for word in confidence.words:
        assert text[word.start : word.start + len(word.text)] == word.text
    return confidence


def test_a_word_has_the_product_of_its_tokens() -> None:
    found = measured(*TOKENS)
    assert [(word.text, word.region) for word in found.words] == [
        ("Invoice", 0),
        ("Tea", 2),
        ("12.5", 2),
    ]
    assert [word.confidence for word in found.words] == pytest.approx([0.4, 1.0, 0.45])


def test_markup_counts_for_no_word() -> None:
    sure = tuple((piece, p if piece.strip().isalnum() else 1.0) for piece, p in TOKENS)
    assert measured(*sure).words[1] == measured(*TOKENS).words[1]


def test_regions_and_page_are_means_weighted_by_characters() -> None:
    found = measured(*TOKENS)
    title, image, table = found.regions
    assert title.confidence == pytest.approx(0.4)
    assert table.confidence == pytest.approx((3 * 1.0 + 4 * 0.45) / 7)
    assert (image.confidence, image.word_confidences) == (None, ())
    assert found.value == pytest.approx((7 * 0.4 + 3 * 1.0 + 4 * 0.45) / 14)
    assert (title.word_confidences, table.word_confidences) == ((40,), (100, 45))


def test_a_box_has_the_geometric_mean_of_its_numbers() -> None:
    title, image, _ = measured(*TOKENS).regions
    assert title.boxes[0].confidence == pytest.approx(0.81)
    assert image.boxes[0].confidence == pytest.approx(1.0)
    assert title.boxes[0].normalized == (1, 2, 30, 4)


def test_without_words_there_is_no_confidence() -> None:
    assert measured(("\n", 0.5)).value is None
    assert measured().words == ()
