"""What became of a batch of documents, for the log and an XCom."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.results import DocumentResult, DocumentStatus, PageResult, PageStatus
from airflow_deepseek_ocr.pipeline.error_budget import ErrorBudget


@dataclass
class Summary:
    """What became of a batch of documents.

    :ivar documents: how many ended in each status; ``skipped``, which were stored already; ``held``,
        which other tasks are reading.
    :ivar pages: pages read or failed.
    :ivar pages_kept: pages of the same documents that had been read before, by a try that died.
    :ivar failed_pages: pages that failed, of those read now.
    :ivar statuses: how many pages ended in each status.
    :ivar read_again: readings beyond the first of each page.
    :ivar text_tokens: tokens generated, in all readings.
    :ivar vision_tokens: tokens that stood for images, in all readings.
    :ivar vision_tokens_saved: what the best mode would have taken more, with ``resolution="auto"``.
    :ivar retryable: URIs of documents whose failure was not their own.
    :ivar failed: URIs of documents that failed, with the reasons' codes.
    :ivar over_budget: URIs of documents of which too many pages failed, with the numbers.
    :ivar held: URIs of documents that other tasks are reading, with the tasks.
    """

    documents: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    pages_kept: int = 0
    failed_pages: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    read_again: int = 0
    text_tokens: int = 0
    vision_tokens: int = 0
    vision_tokens_saved: int = 0
    retryable: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    over_budget: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)

    def count_page(self, page: PageResult) -> None:
        """Add a page that was read now."""
        self.pages += 1
        self.failed_pages += page.status is PageStatus.FAILED
        self.statuses[page.status.value] += 1
        self.read_again += max(0, len(page.attempts) - 1)
        self.text_tokens += sum(attempt.text_tokens for attempt in page.attempts)
        self.vision_tokens += sum(attempt.vision_tokens for attempt in page.attempts)
        self.vision_tokens_saved += page.vision_tokens_saved or 0

    def judge(self, ref: DocumentRef, result: DocumentResult, budget: ErrorBudget) -> None:
        """Note what is wrong with a document."""
        if result.retryable:
            self.retryable.append(ref.uri)
        if result.status is DocumentStatus.FAILED:
            self.failed[ref.uri] = result.error_code or "pages_failed"
        if result.pages and budget.is_exceeded(result.failed_pages, result.pages):
            self.over_budget[ref.uri] = f"{result.failed_pages} of {result.pages}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, small enough for an XCom whatever the batch's size."""
        return {
            "documents": dict(self.documents),
            "pages": self.pages,
            "pages_kept": self.pages_kept,
            "failed_pages": self.failed_pages,
            "statuses": dict(self.statuses),
            "read_again": self.read_again,
            "text_tokens": self.text_tokens,
            "vision_tokens": self.vision_tokens,
            "vision_tokens_saved": self.vision_tokens_saved,
            "failed": dict(self.failed),
            "over_budget": dict(self.over_budget),
            "held": dict(self.held),
        }
