"""Documents on their way through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.rendering.pool import SharedDocument
from airflow_deepseek_ocr.pipeline.reports.document_report import DocumentReport
from airflow_deepseek_ocr.store.leases import Lease


@dataclass(eq=False)
class FetchedDocument:
    """A document before it is opened.

    :ivar ref: the document; the fetch adds its version.
    :ivar path: its local copy.
    :ivar lease: None until the document is claimed.
    """

    ref: DocumentRef
    path: Path
    lease: Lease | None = None


@dataclass(eq=False, kw_only=True)
class InFlightDocument:
    """A claimed and opened document some of whose pages are not stored yet.

    :ivar ref: the document with its version.
    :ivar lease: the right to write its pages.
    :ivar media_type: its type, detected from its content.
    :ivar page_count: number of its pages.
    :ivar page_numbers: the pages selected.
    :ivar missing: those of them that are not stored yet.
    :ivar source: its local copy, which is kept until its pages are stored.
    :ivar lost: whether another task has reclaimed the document.
    :ivar report: notes for the log's line at its end.
    """

    ref: DocumentRef
    lease: Lease
    media_type: str
    page_count: int
    page_numbers: tuple[int, ...]
    missing: set[int]
    source: SharedDocument
    lost: bool = False
    report: DocumentReport = field(default_factory=DocumentReport)

    @property
    def stored_share(self) -> float:
        """The share of its pages that are stored, 0 to 1."""
        return 1 - len(self.missing) / max(1, len(self.page_numbers))
