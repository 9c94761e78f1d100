"""Columns of documents, pages and regions."""

from __future__ import annotations

import json

import pytest

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import document_key
from airflow_deepseek_ocr.ocr.results import Attempt, Box, Doubt, Region, UncertainWord
from airflow_deepseek_ocr.store.row_values import (
    document_values,
    error_values,
    page_values,
    region_values,
)
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow, RegionRow
from tests.support.fixtures.stored_documents import CONFIG, REF, failed, page


def test_document_values() -> None:
    values = document_values(REF, CONFIG)
    assert values["document_key"] == document_key(REF, CONFIG)
    assert (values["version_key"], values["uri"]) == (REF.version_key, REF.uri)
    assert (values["config_key"], values["config"]) == (CONFIG.key, CONFIG.to_json())
    assert values.keys() <= set(DocumentRow.__table__.columns.keys())


def test_page_values() -> None:
    attempts = (
        Attempt(how="small", resolution="small", score=0.2, flags=("loop",)),
        Attempt(how="slices_2", resolution="small", score=1.0),
    )
    values = page_values(7, page(2, flags=("ratio_knee",), attempts=attempts, score=0.9))
    assert (values["document_id"], values["page_number"], values["status"]) == (7, 2, "ok")
    assert (values["flags"], values["attempt_count"]) == ('["ratio_knee"]', 2)
    assert [each["how"] for each in json.loads(values["attempts"])] == ["small", "slices_2"]
    assert values["compression_ratio"] == pytest.approx(50 / 111)
    assert values["is_final"] is True
    assert values.keys() <= set(PageRow.__table__.columns.keys())


def test_confidence_is_stored_if_the_engine_returns_probabilities() -> None:
    word = UncertainWord(
        word="7", confidence=0.2, offset=3, length=1, region=0, reasons=(Doubt.UNCERTAIN_NUMBER,)
    )
    values = page_values(1, page(1, confidence=0.9, rotation=270, uncertain_words=(word,)))
    assert (values["confidence"], values["rotation"]) == (0.9, 270)
    assert json.loads(values["uncertain_words"]) == [word.to_dict() | {"reasons": [*word.reasons]}]
    assert page_values(1, page(1, confidence=1.0))["uncertain_words"] == "[]"
    region = Region("text", "7 8", (Box((0, 0, 9, 9), (0, 0, 9, 9), 0.5),), 0.6, (20, 100))
    values = region_values(1, 0, region)
    assert (values["confidence"], values["word_confidences"]) == (0.6, "[20,100]")
    assert json.loads(values["boxes"])[0]["confidence"] == 0.5


def test_without_probabilities_confidence_is_null() -> None:
    values = page_values(1, page(1))
    assert (values["confidence"], values["uncertain_words"], values["rotation"]) == (None, None, 0)
    values = region_values(1, 0, Region("text", "7 8"))
    assert (values["confidence"], values["word_confidences"]) == (None, None)


def test_a_retryable_page_is_not_final() -> None:
    assert page_values(1, failed(1, retryable=True))["is_final"] is False
    assert page_values(1, failed(1))["is_final"] is True


@pytest.mark.parametrize(
    ("boxes", "edges"),
    [
        ((), (None, None, None, None)),
        (((10, 20, 30, 40),), (10, 20, 30, 40)),
        (((10, 20, 30, 40), (5, 50, 6, 60)), (5, 20, 30, 60)),
        (((30, 40, 10, 20),), (10, 20, 30, 40)),
    ],
)
def test_edges_enclose_all_boxes(
    boxes: tuple[tuple[int, int, int, int], ...], edges: tuple[int | None, ...]
) -> None:
    region = Region("text", "t", tuple(Box((0, 0, 9, 9), pixels) for pixels in boxes))
    values = region_values(1, 3, region)
    assert tuple(values[edge] for edge in ("x1", "y1", "x2", "y2")) == edges
    assert len(json.loads(values["boxes"])) == len(boxes)
    assert values.keys() <= set(RegionRow.__table__.columns.keys())


def test_texts_are_made_storable() -> None:
    assert error_values(ErrorCode.DAMAGED, "a\0b\udc80") == {
        "error_code": "damaged",
        "error": "a\ufffdb?",
    }
    assert error_values(None, None) == {"error_code": None, "error": None}
    assert document_values(DocumentRef("file:///a\udc80"), CONFIG)["uri"] == "file:///a%80"


def test_json_has_no_character_that_postgresql_refuses_in_jsonb() -> None:
    words = (
        UncertainWord(
            word="a\0\ud800",
            confidence=0.2,
            offset=0,
            length=3,
            region=0,
            reasons=(Doubt.LOW_CONFIDENCE,),
        ),
    )
    attempts = (Attempt(how="base", resolution="base", score=0.1, text="\0"),)
    values = page_values(7, page(1, confidence=0.4, uncertain_words=words, attempts=attempts))
    assert json.loads(values["uncertain_words"])[0]["word"] == "a\ufffd?"
    assert json.loads(values["attempts"])[0]["text"] == "\ufffd"
