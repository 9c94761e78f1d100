"""The line of the log about a document."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import Attachments
from airflow_deepseek_ocr.ocr.results import DocumentResult, DocumentStatus, PageResult, PageStatus
from airflow_deepseek_ocr.pipeline.reports.document_report import DocumentReport, level

REF = DocumentRef("s3://b/a.pdf")
URI = "s3://b/a.pdf"


def report(*pages: PageResult, seconds: float = 4.0) -> DocumentReport:
    times: Iterator[float] = iter((100.0, 100.0 + seconds))
    made = DocumentReport(clock=lambda: next(times))
    for page in pages:
        made.add(page)
    return made


def page(number: int = 1, status: PageStatus = PageStatus.OK, **changes: Any) -> PageResult:
    return PageResult(number=number, status=status, resolution="small", **changes)


def test_one_page() -> None:
    done = DocumentResult(DocumentStatus.DONE, pages=1)
    line = report(page(score=1.0)).line(REF, done)
    assert line == f"{URI}: done, 1 page in 4.0 s (0.25 pages/s), score 1.00, no flags."
    assert level(done, report()) == logging.INFO


def test_several_pages_with_scores_and_flags() -> None:
    pages = (
        page(1, score=0.9, flags=("b",)),
        page(2, score=1.0),
        page(3, score=0.7, flags=("b", "a")),
    )
    line = report(*pages).line(REF, DocumentResult(DocumentStatus.DONE, pages=3))
    assert line == (
        f"{URI}: done, 3 pages in 4.0 s (0.75 pages/s), score 0.70 to 1.00, flags b (2) a (1)."
    )


def test_confidence_where_it_is_known() -> None:
    pages = page(1, score=1.0, confidence=0.8), page(2, score=1.0), page(3, confidence=0.95)
    line = report(*pages).line(REF, DocumentResult(DocumentStatus.DONE, pages=3))
    assert line.endswith("score 1.00, confidence 0.80 to 0.95, no flags.")


def test_pages_of_an_earlier_try_do_not_count_as_speed() -> None:
    line = report(page(9, score=1.0)).line(REF, DocumentResult(DocumentStatus.DONE, pages=9))
    assert "9 pages in 4.0 s (0.25 pages/s), 8 stored by an earlier try" in line


def test_a_partial_document_is_a_warning_with_the_reasons_of_its_pages() -> None:
    failed = [page(each, PageStatus.FAILED, error="It loops") for each in range(1, 6)]
    partial = DocumentResult(DocumentStatus.PARTIAL, pages=6, failed_pages=5)
    line = report(*failed, page(6, score=0.5)).line(REF, partial)
    assert "6 pages in 4.0 s (1.5 pages/s), 5 of them failed, score 0.50, no flags." in line
    assert line.endswith("Page 3: It loops. 2 failed pages more: see error in ocr_pages.")
    assert level(partial, report()) == logging.WARNING


def test_a_failed_document_without_pages_has_its_reason() -> None:
    failed = DocumentResult(DocumentStatus.FAILED, error_code="damaged", error="It is\nno PDF.")
    assert report().line(REF, failed) == f"{URI}: failed (damaged). It is no PDF."
    assert level(failed, report()) == logging.WARNING


@pytest.mark.parametrize(
    ("error", "reason"),
    [("Too dense.", "Too dense."), (None, "The reasons are in the column error")],
)
def test_failed_pages_of_an_earlier_try(error: str | None, reason: str) -> None:
    failed = DocumentResult(DocumentStatus.FAILED, pages=2, failed_pages=2, error=error)
    assert reason in report().line(REF, failed)


def test_a_document_without_processed_pages_has_no_speed() -> None:
    line = report(seconds=0.0).line(REF, DocumentResult(DocumentStatus.DONE, pages=2))
    assert line == f"{URI}: done, 2 pages in 0.0 s, 2 stored by an earlier try."


@pytest.mark.parametrize(
    ("dynamic_form", "attachments", "said", "expected"),
    [
        (True, Attachments(), "It is a dynamic XFA form", logging.WARNING),
        (False, Attachments(1, ("a.pdf",), True), "not read: a.pdf.", logging.WARNING),
        (False, Attachments(1, ("a.xml",)), "not read: a.xml.", logging.INFO),
    ],
)
def test_content_that_the_pages_do_not_show(
    dynamic_form: bool, attachments: Attachments, said: str, expected: int
) -> None:
    done = DocumentResult(DocumentStatus.DONE, pages=1)
    notes = report(page(score=1.0))
    notes.dynamic_form, notes.attachments = dynamic_form, attachments
    assert said in notes.line(REF, done)
    assert level(done, notes) == expected
