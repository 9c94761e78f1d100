"""Outputs of parts as one output of the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput
from airflow_deepseek_ocr.ocr.recognition.combined_output import CombinedOutput, combine_outputs
from airflow_deepseek_ocr.ocr.recognition.slicing import PageSlice
from tests.support.fixtures.token_probabilities import with_probabilities

TEXT = "<|ref|>text<|/ref|><|det|>[[0, 500, 999, 999]]<|/det|>\nTotal 12.50"
IMAGE = Image.new("L", (1, 1))
TWO_SLICES = [
    PageSlice(image=IMAGE, top=0, height=0.5),
    PageSlice(image=IMAGE, top=0.5, height=0.5),
]


def combine(*outputs: PageOutput, slices: list[PageSlice] | None = None) -> CombinedOutput:
    return combine_outputs(outputs, slices or [], text_in_ref=False, size=(999, 999))


def test_a_page_as_a_whole() -> None:
    combined = combine(with_probabilities(TEXT, {"Total": 0.8, "12": 0.5}))
    assert combined.text == TEXT
    (region,) = combined.regions
    assert (region.text, region.word_confidences) == ("Total 12.50", (80, 50))
    assert combined.confidence is not None
    assert combined.confidence.regions == combined.regions
    assert region.boxes[0].confidence == pytest.approx(1.0)


def test_words_of_slices_keep_their_confidence_and_their_place() -> None:
    outputs = (
        with_probabilities(TEXT, {"500": 0.5, "12": 0.6}),
        with_probabilities(TEXT, {"Total": 0.7}),
    )
    combined = combine(*outputs, slices=TWO_SLICES)
    upper, lower = combined.regions
    assert upper.boxes[0].normalized == (0, 250, 999, 500)
    assert lower.boxes[0].normalized == (0, 750, 999, 999)
    assert upper.boxes[0].confidence == pytest.approx(0.5 ** (1 / 4))
    assert (upper.word_confidences, lower.word_confidences) == ((100, 60), (70, 100))
    assert combined.confidence is not None
    for word in combined.confidence.words:
        assert combined.text.startswith(word.text, word.start)


def test_without_probabilities_of_each_part_there_is_no_confidence() -> None:
    known = with_probabilities(TEXT)
    unknown = replace(known, token_probabilities=None)
    other = replace(known, text="another text")
    for outputs in ((unknown, unknown), (known, unknown), (known, other)):
        combined = combine(*outputs, slices=TWO_SLICES)
        assert combined.confidence is None
        assert all(region.confidence is None for region in combined.regions)
    assert combine(unknown).regions[0].word_confidences is None


def test_a_turned_page_has_its_boxes_on_the_page_as_it_is() -> None:
    output = with_probabilities(TEXT, {"500": 0.5, "12": 0.6})
    combined = combine_outputs([output], [], text_in_ref=False, size=(999, 500), rotation=90)
    (region,), (read,) = combined.regions, combined.regions_read
    assert (combined.text_read, read.boxes[0].normalized) == (TEXT, (0, 500, 999, 999))
    assert region.boxes[0].normalized == (500, 0, 999, 999)
    assert combined.text != TEXT
    assert region.boxes[0].confidence == pytest.approx(0.5 ** (1 / 4))
    assert (region.word_confidences, read.word_confidences) == ((100, 60), None)
    assert combined.confidence is not None
    for word in combined.confidence.words:
        assert combined.text.startswith(word.text, word.start)
