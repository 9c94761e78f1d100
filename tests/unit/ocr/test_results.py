"""Results of pages and documents."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.results import (
    PICTURE_LABELS,
    PLAIN_LABEL,
    Attempt,
    DocumentStatus,
    PageResult,
    PageStatus,
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
    assert "text" not in stored.to_dict()
    assert stored.to_dict()["how"] == "base"
    other = Attempt(how="base", resolution="base", score=0.4, text="")
    assert other.to_dict()["text"] == ""
