"""Limits of documents: their own validity, and the documents that they refuse."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.limits import Limits


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_bytes": 0},
        {"max_pages": 0},
        {"max_pixels": 0},
        {"max_pixels": 10**9},
        {"max_page_seconds": 0},
        {"max_page_seconds": float("inf")},
        {"max_page_seconds": float("nan")},
        {"max_page_memory": 1000},
        {"max_page_memory": (64 << 20) - 1},
    ],
    ids=str,
)
def test_wrong_limits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Limits(**wrong)  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.LIMITS
    assert next(iter(wrong)) in str(caught.value)


def test_the_smallest_and_the_largest_limits() -> None:
    smallest = Limits(
        max_bytes=1, max_pages=1, max_pixels=1, max_page_seconds=1, max_page_memory=64 << 20
    )
    assert smallest.max_pixels == 1
    assert Limits(max_pixels=178_956_970).max_pixels == 178_956_970


def test_a_document_at_the_limit_is_accepted() -> None:
    limits = Limits(max_bytes=10, max_pages=10, max_pixels=10)
    limits.check_bytes(10)
    limits.check_pages(10)
    limits.check_pixels(5, 2)


def test_a_document_above_the_limit_is_refused() -> None:
    limits = Limits(max_bytes=10, max_pages=10, max_pixels=10)
    for check, arguments, code, words in (
        (limits.check_bytes, (11,), ErrorCode.TOO_MANY_BYTES, "max_bytes"),
        (limits.check_bytes, (0,), ErrorCode.EMPTY_FILE, "empty"),
        (limits.check_pages, (11,), ErrorCode.TOO_MANY_PAGES, "pages='1-10'"),
        (limits.check_pixels, (11, 1), ErrorCode.TOO_MANY_PIXELS, "11 x 1 pixels"),
    ):
        with pytest.raises(DocumentError, match=words) as caught:
            check(*arguments)  # type: ignore[operator]
        assert caught.value.code is code
