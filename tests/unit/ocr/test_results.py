"""Results of pages and documents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_deepseek_ocr.ocr.results import (
    PICTURE_LABELS,
    PLAIN_LABEL,
    Attempt,
    Box,
    DocumentStatus,
    Doubt,
    PageResult,
    PageStatus,
    UncertainWord,
    status_of,
)


@pytest.mark.parametrize(
    ("pages", "failed", "status"),
    [
        (3, 0, DocumentStatus.DONE),
        (3, 1, DocumentStatus.PARTIAL),
        (3, 3, DocumentStatus.FAILED),
        (0, 0, DocumentStatus.FAILED),
    ],
)
def test_the_status_of_a_document(pages: int, failed: int, status: DocumentStatus) -> None:
    assert status_of(pages, failed) is status


def test_the_compression_ratio_needs_vision_tokens() -> None:
    page = PageResult(
        number=1, status=PageStatus.OK, resolution="small", vision_tokens=111, text_tokens=555
    )
    assert page.compression_ratio == 5
    missing = PageResult(number=1, status=PageStatus.FAILED, resolution="small")
    assert missing.compression_ratio is None


def test_labels() -> None:
    assert PLAIN_LABEL not in PICTURE_LABELS


def test_an_attempt_as_json_has_the_text_that_is_not_stored_elsewhere() -> None:
    stored = Attempt(how="base", resolution="base", score=1.0)
    assert not {"text", "confidence"} & stored.to_dict().keys()
    assert stored.to_dict()["how"] == "base"
    other = Attempt(how="base", resolution="base", score=0.4, text="")
    assert other.to_dict()["text"] == ""
    sure = Attempt(how="base", resolution="base", score=1.0, confidence=0.0)
    assert sure.to_dict()["confidence"] == 0.0


def test_a_box_as_json_has_a_confidence_only_if_it_is_known() -> None:
    box = Box((1, 2, 3, 4), (5, 6, 7, 8))
    assert box.to_dict() == {"normalized": (1, 2, 3, 4), "pixels": (5, 6, 7, 8)}
    assert replace(box, confidence=0.0).to_dict()["confidence"] == 0.0


def test_an_uncertain_word_as_json() -> None:
    word = UncertainWord(
        word="Ms", confidence=0.3, offset=4, length=2, region=1, reasons=(Doubt.LOW_CONFIDENCE,)
    )
    assert word.to_dict()["reasons"] == ["low_confidence"]
    assert word.reasons == (Doubt.LOW_CONFIDENCE,)
