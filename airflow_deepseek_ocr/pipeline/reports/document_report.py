"""The line of the log about a document that has ended: outcome, pages, time, score, confidence, flags."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from airflow_deepseek_ocr.counted import counted, pages_per_second
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import (
    NAMED,
    NO_ATTACHMENTS,
    Attachments,
    unshown_messages,
)
from airflow_deepseek_ocr.ocr.results import DocumentResult, DocumentStatus, PageResult, PageStatus

#: Flags and failed pages that a line names; the rows have all of them.
_NAMED = 3


@dataclass
class DocumentReport:
    """Notes about the pages of one document that this task processes.

    :ivar started: monotonic time at which the document was opened.
    :ivar pages: pages processed by this task.
    :ivar scores: their quality scores.
    :ivar confidences: mean confidence of their words, of pages for which it is known.
    :ivar flags: how many of them have each flag.
    :ivar failed: numbers and errors of the first failed pages.
    :ivar dynamic_form: whether its pages are the placeholder of a dynamic XFA form.
    :ivar attachments: files attached to it, or to a page processed now.
    """

    clock: Callable[[], float] = time.monotonic
    started: float = 0.0
    pages: int = 0
    scores: list[float] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    flags: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[int, str]] = field(default_factory=list)
    dynamic_form: bool = False
    attachments: Attachments = NO_ATTACHMENTS

    def __post_init__(self) -> None:
        self.started = self.clock()

    def add(self, page: PageResult) -> None:
        """Note a page that was processed now.

        :param page: its result, as it is stored.
        """
        self.pages += 1
        self.flags.update(dict.fromkeys(page.flags, 1))
        if page.score is not None:
            self.scores.append(page.score)
        if page.confidence is not None:
            self.confidences.append(page.confidence)
        if page.status is PageStatus.FAILED and len(self.failed) < _NAMED:
            self.failed.append((page.number, page.error or page.error_code or "no reason"))

    def line(self, ref: DocumentRef, result: DocumentResult) -> str:
        """Return the line of the log.

        :param ref: the document.
        :param result: its outcome.
        """
        status = f"{ref.uri}: {result.status.value}"
        if result.error_code:
            status += f" ({result.error_code})"
        if not result.pages:
            return f"{status}. {_sentence(result.error or 'It has no pages.')}"
        parts = [self._pages(result), *self._quality()]
        return " ".join([f"{status}, {', '.join(parts)}.", *self._reasons(result), *self.unshown()])

    def unshown(self, most: int = NAMED) -> tuple[str, ...]:
        """Return sentences about content that the pages do not show, and that was not read.

        :param most: number of names of attached files in them, at most.
        """
        return unshown_messages(self.attachments, dynamic_form=self.dynamic_form, most=most)

    @property
    def misses_content(self) -> bool:
        """Whether readers of the rows would expect that content."""
        return self.dynamic_form or self.attachments.are_documents

    def _pages(self, result: DocumentResult) -> str:
        seconds = self.clock() - self.started
        speed = f" in {seconds:.1f} s"
        if self.pages and seconds > 0:
            speed += f" ({pages_per_second(self.pages, seconds)})"
        failed = f", {result.failed_pages} of them failed" if result.failed_pages else ""
        stored = result.pages - self.pages
        before = f", {stored} stored by an earlier try" if stored > 0 else ""
        return f"{counted(result.pages, 'page')}{speed}{failed}{before}"

    def _quality(self) -> list[str]:
        parts = [
            f"{name} {_range(values)}"
            for name, values in (("score", self.scores), ("confidence", self.confidences))
            if values
        ]
        if self.flags:
            named = [f"{flag} ({count})" for flag, count in self.flags.most_common(_NAMED)]
            more = len(self.flags) - _NAMED
            parts.append(f"flags {' '.join(named)}" + (f" and {more} more" if more > 0 else ""))
        elif self.scores:
            parts.append("no flags")
        return parts

    def _reasons(self, result: DocumentResult) -> list[str]:
        reasons = [f"Page {number}: {_sentence(error)}" for number, error in self.failed]
        if more := result.failed_pages - len(self.failed):
            reasons.append(
                f"{counted(more, 'failed page')} more: see error in ocr_pages."
                if reasons
                else _sentence(result.error or "The reasons are in the column error of ocr_pages.")
            )
        return reasons


def level(result: DocumentResult, report: DocumentReport) -> int:
    """Return the log level of a document's line: a warning if a part of it failed or was not read.

    :param result: the document's outcome.
    :param report: the notes about it.
    """
    done = result.status is DocumentStatus.DONE and not report.misses_content
    return logging.INFO if done else logging.WARNING


def _range(values: Sequence[float]) -> str:
    lowest, highest = f"{min(values):.2f}", f"{max(values):.2f}"
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."
