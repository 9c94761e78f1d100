"""Documents on their way are told apart by identity."""

from __future__ import annotations

from pathlib import Path

from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.pool import SharedDocument
from airflow_deepseek_ocr.pipeline.in_flight import FetchedDocument, InFlightDocument
from airflow_deepseek_ocr.store.leases import Lease


def document() -> InFlightDocument:
    return InFlightDocument(
        ref=DocumentRef("s3://b/a"),
        lease=Lease(1, "token"),
        media_type="image/png",
        page_count=2,
        page_numbers=(1, 2),
        missing={2},
        source=SharedDocument(Path("document-0"), OpenRequest(PageSelection(), 72)),
    )


def test_a_fetched_document_has_no_lease_at_first() -> None:
    assert FetchedDocument(DocumentRef("s3://b/a"), Path("document-0")).lease is None


def test_equal_documents_of_two_claims_are_different() -> None:
    first, second = document(), document()
    assert first != second
    assert len({first, second}) == 2
    assert not first.lost
