"""The summary of a batch, for the log and an XCom."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from airflow_deepseek_ocr.counted import shortened
from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.quality.flags import CONFIDENCE_FLAGS
from airflow_deepseek_ocr.ocr.results import DocumentResult, DocumentStatus, PageResult, PageStatus
from airflow_deepseek_ocr.pipeline.error_budget import ErrorBudget
from airflow_deepseek_ocr.pipeline.exports.exporter import Exported
from airflow_deepseek_ocr.pipeline.reports.document_report import DocumentReport
from airflow_deepseek_ocr.store.row_values import storable

#: Codes of documents that no storage was asked for, because of their URI.
_WRONG_REFERENCES = {ErrorCode.UNSUPPORTED_SCHEME, ErrorCode.S3_URI, ErrorCode.DOCUMENT_REFERENCE}
#: Most documents that each list of a summary names, and bytes of these as JSON: Airflow stores the summary of
#: each mapped task in its database.
_MAX_LISTED, _MAX_LISTED_BYTES = 100, 64 << 10
#: Most ids of documents, each of some 8 bytes as JSON.
_MAX_IDS = 5_000
#: Longest URI, in characters (a key of S3 has up to 1,024 bytes), and longest reason.
_MAX_URI, _MAX_REASON = 2000, 300


@dataclass
class Summary:
    """Counts and failures of a batch of documents.

    :ivar config_key: the processing configuration, as in the tables.
    :ivar documents: documents by status; besides, ``skipped`` counts those stored before,
        ``leased_by_others`` those that other tasks are processing, and ``forgotten`` those that were
        deleted from the results database while they were processed.
    :ivar pages: pages processed now, failed ones included.
    :ivar pages_resumed: pages of the same documents that an earlier try had stored.
    :ivar failed_pages: failed pages among ``pages``.
    :ivar statuses: ``pages`` by status.
    :ivar uncertain_pages: pages with text of which the model was not sure: those with the flag
        ``low_confidence``, ``low_confidence_region`` or ``uncertain_numbers``.
    :ivar retried_attempts: attempts beyond the first of each page.
    :ivar text_tokens: tokens generated in all attempts.
    :ivar vision_tokens: image tokens in all attempts.
    :ivar vision_tokens_saved: image tokens saved by ``resolution="auto"`` against the best mode.
    :ivar model_seconds: seconds of the model's time, all attempts of all pages together.
    :ivar waited_seconds: seconds that the task waited for documents that other tasks were processing.
    :ivar retryable: URIs of documents that failed for a reason outside them.
    :ivar failed: error codes of failed documents, by URI.
    :ivar over_budget: failed and all pages of documents over the error budget, by URI.
    :ivar unread: content that pages do not show and that is missed, in words, by URI of the document:
        attached documents, dynamic XFA forms.
    :ivar leased_by_others: the tasks that are processing documents of the batch, by URI.
    :ivar exports: files and bytes written now, documents that were exported, those whose exports were
        up to date, and formats that cannot be made of their document.
    :ivar failed_exports: documents whose exports are missing, with the reason, by URI.
    :ivar document_ids: rows of ``ocr_documents`` of the batch's documents, those skipped included, for
        :meth:`~airflow_deepseek_ocr.hooks.ocr_results.OcrResults.documents_of`. Documents that failed before
        their version was known, or that other tasks are processing, are not among them.
    :ivar failed_codes: failed documents by error code.
    :ivar not_listed: numbers of documents that the lists leave out. ``failed`` to ``failed_exports`` name the
        first 100 documents, in at most 64 KiB, ``document_ids`` the first 5,000; the database has all.
    """

    config_key: str = ""
    documents: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    pages_resumed: int = 0
    failed_pages: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    uncertain_pages: int = 0
    retried_attempts: int = 0
    text_tokens: int = 0
    vision_tokens: int = 0
    vision_tokens_saved: int = 0
    model_seconds: float = 0.0
    waited_seconds: float = 0.0
    retryable: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    over_budget: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    leased_by_others: dict[str, str] = field(default_factory=dict)
    exports: Counter[str] = field(default_factory=Counter)
    failed_exports: dict[str, str] = field(default_factory=dict)
    document_ids: list[int] = field(default_factory=list)

    def record_page(self, page: PageResult) -> None:
        """Count a page that was processed now."""
        self.pages += 1
        self.failed_pages += page.status is PageStatus.FAILED
        self.statuses[page.status.value] += 1
        self.uncertain_pages += not CONFIDENCE_FLAGS.isdisjoint(page.flags)
        self.retried_attempts += max(0, page.read_count - 1)
        self.model_seconds += page.seconds
        self.text_tokens += sum(attempt.text_tokens for attempt in page.attempts)
        self.vision_tokens += sum(attempt.vision_tokens for attempt in page.attempts)
        self.vision_tokens_saved += page.vision_tokens_saved or 0

    def record_failures(
        self, ref: DocumentRef, result: DocumentResult, budget: ErrorBudget
    ) -> None:
        """Record whether a document failed, is worth a retry, or exceeds the error budget."""
        if result.retryable:
            self.retryable.append(ref.uri)
        if result.status is DocumentStatus.FAILED:
            self.failed[ref.uri] = result.error_code or ErrorCode.PAGES_FAILED.value
        if result.pages and budget.is_exceeded(result.failed_pages, result.pages):
            self.over_budget[ref.uri] = f"{result.failed_pages} of {result.pages}"

    def record_unshown(self, ref: DocumentRef, report: DocumentReport) -> None:
        """Record the content of a document that was not read although it is expected."""
        if report.misses_content:
            self.unread[ref.uri] = " ".join(report.unshown())

    def record_exports(self, exported: Exported) -> None:
        """Count the exports of a document."""
        self.exports["documents"] += exported.written > 0
        self.exports["unchanged"] += exported.written == 0
        self.exports["files"] += exported.written
        self.exports["bytes"] += exported.written_bytes
        self.exports["refused"] += len(exported.refused)

    @property
    def failed_codes(self) -> Counter[str]:
        """Failed documents by error code."""
        return Counter(self.failed.values())

    @property
    def has_only_wrong_references(self) -> bool:
        """Whether there were documents, and none has a URI that a storage could be asked for."""
        return (
            bool(self.failed)
            and len(self.failed) == self.documents.total()
            and set(self.failed.values()) <= _WRONG_REFERENCES
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types for an XCom, of a bounded size whatever the batch's size."""
        lists = {
            name: _first(getattr(self, name))
            for name in (
                "failed",
                "over_budget",
                "unread",
                "leased_by_others",
                "failed_exports",
            )
        }
        ids = sorted(set(self.document_ids))
        left_out = {name: len(getattr(self, name)) - len(listed) for name, listed in lists.items()}
        left_out["document_ids"] = len(ids[_MAX_IDS:])
        return {
            "config_key": self.config_key,
            "documents": dict(self.documents),
            "pages": self.pages,
            "pages_resumed": self.pages_resumed,
            "failed_pages": self.failed_pages,
            "statuses": dict(self.statuses),
            "uncertain_pages": self.uncertain_pages,
            "retried_attempts": self.retried_attempts,
            "text_tokens": self.text_tokens,
            "vision_tokens": self.vision_tokens,
            "vision_tokens_saved": self.vision_tokens_saved,
            "model_seconds": round(self.model_seconds, 3),
            "waited_seconds": round(self.waited_seconds, 3),
            "exports": dict(self.exports),
            **lists,
            "document_ids": ids[:_MAX_IDS],
            "failed_codes": dict(self.failed_codes),
            "not_listed": {name: left for name, left in left_out.items() if left},
        }


def _first(reasons: Mapping[str, str]) -> dict[str, str]:
    """Return the first reasons by URI, as many as an XCom should have."""
    first, size = dict[str, str](), 0
    for uri, reason in islice(reasons.items(), _MAX_LISTED):
        # XComs are in a database, too.
        short = storable(shortened(uri, _MAX_URI)), storable(shortened(reason, _MAX_REASON))
        size += len(json.dumps(short))
        if size > _MAX_LISTED_BYTES:
            break
        first[short[0]] = short[1]
    return first
