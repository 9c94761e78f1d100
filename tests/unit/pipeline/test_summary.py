"""Counts and failures of a batch."""

from __future__ import annotations

import json
from dataclasses import fields

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.results import (
    Attempt,
    DocumentResult,
    DocumentStatus,
    PageResult,
    PageStatus,
)
from airflow_deepseek_ocr.pipeline.error_budget import ErrorBudget
from airflow_deepseek_ocr.pipeline.summary import Summary

REF = DocumentRef("s3://bucket/a.pdf")


def attempt(**changes: int) -> Attempt:
    return Attempt(how="small", resolution="small", score=1.0, **changes)


def test_pages_count_all_their_attempts() -> None:
    summary = Summary()
    attempts = (attempt(vision_tokens=100, text_tokens=7), attempt(vision_tokens=256))
    page = PageResult(number=1, status=PageStatus.RECOVERED, resolution="base", attempts=attempts)
    summary.record_page(page)
    summary.record_page(PageResult(number=2, status=PageStatus.FAILED, resolution="small"))
    assert (summary.pages, summary.failed_pages, summary.retried_attempts) == (2, 1, 1)
    assert (summary.vision_tokens, summary.text_tokens) == (356, 7)
    assert summary.statuses == {"recovered": 1, "failed": 1}


def test_tokens_saved_may_be_negative() -> None:
    summary = Summary()
    for saved in (300, -50, None):
        summary.record_page(
            PageResult(
                number=1, status=PageStatus.OK, resolution="small", vision_tokens_saved=saved
            )
        )
    assert summary.vision_tokens_saved == 250


def test_failures_of_documents() -> None:
    summary, budget = Summary(), ErrorBudget(1)
    for result in (
        DocumentResult(DocumentStatus.DONE, pages=3),
        DocumentResult(DocumentStatus.PARTIAL, pages=3, failed_pages=1),
    ):
        summary.record_failures(REF, result, budget)
    assert (summary.retryable, summary.failed, summary.over_budget) == ([], {}, {})
    partial = DocumentResult(DocumentStatus.PARTIAL, pages=3, failed_pages=2, retryable=True)
    summary.record_failures(REF, partial, budget)
    assert summary.retryable == [REF.uri]
    assert summary.over_budget == {REF.uri: "2 of 3"}
    failed = DocumentResult(DocumentStatus.FAILED, error_code=ErrorCode.DAMAGED, error="e")
    summary.record_failures(REF, failed, budget)
    assert summary.failed == {REF.uri: "damaged"}
    summary.record_failures(REF, DocumentResult(DocumentStatus.FAILED), budget)
    assert summary.failed == {REF.uri: "pages_failed"}


def test_an_xcom_has_every_field_as_plain_json() -> None:
    summary = Summary()
    summary.documents["leased_by_others"] += 1
    summary.leased_by_others[REF.uri] = "dag, run, task, try 1"
    values = summary.as_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["leased_by_others"] == {REF.uri: "dag, run, task, try 1"}
    # URIs of retryable documents are in the rows; the others fit into an XCom.
    assert {field.name for field in fields(Summary)} - set(values) == {"retryable"}


def test_a_batch_of_wrong_references_differs_from_other_failures() -> None:
    summary = Summary()
    assert not summary.has_only_wrong_references
    summary.documents["failed"] = 2
    summary.failed = {"ftp://a": "unsupported_scheme", "s3://": "s3_uri"}
    assert summary.has_only_wrong_references
    summary.failed["s3://"] = "missing_key"
    assert not summary.has_only_wrong_references
    summary.failed["s3://"] = "s3_uri"
    summary.documents["done"] = 1
    assert not summary.has_only_wrong_references


def test_a_summary_is_bounded_whatever_the_batch() -> None:
    """100,000 documents that failed, with the longest keys of S3."""
    summary, budget = Summary(), ErrorBudget(0)
    uris = [f"s3://bucket/{number:06}/{'k' * 1000}.pdf" for number in range(100_000)]
    for uri in uris:
        result = DocumentResult(
            DocumentStatus.FAILED, pages=2, failed_pages=2, error_code="damaged"
        )
        summary.record_failures(DocumentRef(uri), result, budget)
        summary.leased_by_others[uri] = "dag, run, task[0], try 1"
        summary.unread[uri] = "An attached document. " * 100
    values = summary.as_dict()
    assert len(json.dumps(values)) < 4 * (64 << 10) + 2000
    assert list(values["failed"]) == uris[: len(values["failed"])]
    assert values["failed"][uris[0]] == "damaged"
    assert values["failed_codes"] == {"damaged": 100_000}
    for name in ("failed", "over_budget", "unread", "leased_by_others"):
        assert 0 < len(values[name]) <= 100
        assert values["not_listed"][name] == 100_000 - len(values[name])


def test_a_summary_of_a_usual_batch_names_all() -> None:
    summary = Summary(failed={f"s3://bucket/{each}.pdf": "damaged" for each in range(100)})
    values = summary.as_dict()
    assert (len(values["failed"]), values["not_listed"]) == (100, {})


def test_ids_are_named_once_and_bounded() -> None:
    summary = Summary(document_ids=[7, 3, 7])
    assert summary.as_dict()["document_ids"] == [3, 7]
    summary = Summary(document_ids=list(range(1, 5_003)))
    values = summary.as_dict()
    assert (len(values["document_ids"]), values["not_listed"]) == (5_000, {"document_ids": 2})


def test_one_reference_of_any_length_is_shortened() -> None:
    summary = Summary(failed={"s3://b/" + "\x00" * 10_000_000: "s3_uri", "s3://b/": "s3_uri"})
    values = summary.as_dict()
    assert len(json.dumps(values)) < 64 << 10
    assert len(values["failed"]) == 2


def test_pages_with_a_doubt_count_once() -> None:
    summary = Summary()
    for flags in (("uncertain_numbers", "low_confidence_region"), ("low_confidence",), ("loop",)):
        doubtful = PageResult(number=3, status=PageStatus.OK, resolution="base", flags=flags)
        summary.record_page(doubtful)
    assert summary.uncertain_pages == summary.as_dict()["uncertain_pages"] == 2


def test_names_have_no_character_that_databases_refuse() -> None:
    summary = Summary(failed={"s3://b/a\0.pdf": "a\ud800\0"})
    assert summary.as_dict()["failed"] == {"s3://b/a\ufffd.pdf": "a?\ufffd"}
