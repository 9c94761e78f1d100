"""Results of pages as JSON."""

from __future__ import annotations

import json

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.exports.page_json import page_to_dict
from airflow_deepseek_ocr.ocr.results import (
    Attempt,
    Box,
    Doubt,
    PageResult,
    PageStatus,
    Region,
    UncertainWord,
)


def test_all_fields_survive_json() -> None:
    page = PageResult(
        number=3,
        status=PageStatus.RECOVERED,
        resolution="base",
        width=640,
        height=480,
        text="<|ref|>title",
        markdown="# Title",
        regions=[Region("title", "Title", (Box((0, 1, 2, 3), (4, 5, 6, 7)),))],
        vision_tokens=273,
        text_tokens=9,
        score=0.75,
        flags=("loop",),
        attempts=(Attempt(how="base", resolution="base", score=0.1, flags=("loop",)),),
    )
    stored = json.loads(json.dumps(page_to_dict("s3://b/k", page)))
    assert stored["document"] == "s3://b/k"
    assert (stored["page"], stored["width"], stored["height"]) == (3, 640, 480)
    assert (stored["status"], stored["score"], stored["flags"]) == ("recovered", 0.75, ["loop"])
    assert stored["regions"] == [
        {
            "label": "title",
            "text": "Title",
            "boxes": [{"normalized": [0, 1, 2, 3], "pixels": [4, 5, 6, 7]}],
            "confidence": None,
            "word_confidences": None,
            "description": None,
        }
    ]
    assert stored["attempts"][0] == {
        "how": "base",
        "resolution": "base",
        "rotation": 0,
        "score": 0.1,
        "flags": ["loop"],
        "vision_tokens": 0,
        "text_tokens": 0,
        "seconds": 0.0,
        "error_code": None,
    }
    assert stored["compression_ratio"] == page.compression_ratio


def test_confidence_of_page_region_box_and_words() -> None:
    box = Box((0, 1, 2, 3), (4, 5, 6, 7), 0.75)
    word = UncertainWord(
        word="12.50",
        confidence=0.4,
        offset=20,
        length=5,
        region=0,
        reasons=(Doubt.UNCERTAIN_NUMBER, Doubt.ATTEMPTS_DIFFER),
    )
    page = PageResult(
        number=1,
        status=PageStatus.OK,
        resolution="base",
        regions=(Region("text", "Total 12.50", (box,), 0.7, (99, 40)),),
        confidence=0.7,
        rotation=90,
        uncertain_words=(word,),
    )
    stored = json.loads(json.dumps(page_to_dict("a", page)))
    assert (stored["confidence"], stored["rotation"]) == (0.7, 90)
    assert stored["uncertain_words"] == [
        {
            "word": "12.50",
            "confidence": 0.4,
            "offset": 20,
            "length": 5,
            "region": 0,
            "reasons": ["uncertain_number", "attempts_differ"],
        }
    ]
    (region,) = stored["regions"]
    assert (region["confidence"], region["word_confidences"]) == (0.7, [99, 40])
    assert region["boxes"][0]["confidence"] == 0.75


def test_a_failed_page_has_its_error_and_no_text() -> None:
    page = PageResult(
        number=1,
        status=PageStatus.FAILED,
        resolution="",
        error_code=ErrorCode.DAMAGED_PAGE,
        error="Page 1 cannot be rendered.",
    )
    stored = json.loads(json.dumps(page_to_dict("a", page)))
    assert (stored["status"], stored["error_code"]) == ("failed", "damaged_page")
    assert stored["error"] == "Page 1 cannot be rendered."
    assert (stored["text"], stored["regions"], stored["attempts"]) == ("", [], [])
