"""What happens to documents, in rows, summary and copies, with a ledger on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import (
    DocumentError,
    ErrorCode,
    OverwrittenError,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.base import Page
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.unshown import NO_ATTACHMENTS, Attachments
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.pool import RenderPool, SharedDocument
from airflow_deepseek_ocr.pipeline.batch import Batch
from airflow_deepseek_ocr.pipeline.document_copies import DocumentCopies
from airflow_deepseek_ocr.pipeline.in_flight import FetchedDocument, InFlightDocument
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.page_stream import OpenedDocument
from airflow_deepseek_ocr.pipeline.page_writer import PageWriter
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow
from tests.support.fixtures.stored_documents import CONFIG, OTHER, REF, TASK, claim, page, run_out


@pytest.fixture
def copies(tmp_path: Path) -> DocumentCopies:
    return DocumentCopies(tmp_path)


@pytest.fixture
def batch(store: Store, copies: DocumentCopies) -> Iterator[Batch]:
    made = Batch([REF], Ledger(store.database, CONFIG, TASK), CONFIG, PipelineOptions())
    with closing(RenderPool(Limits())) as pool:
        made.begin(copies, pool, lambda: None)
        yield made


def fetched(batch: Batch, copies: DocumentCopies) -> FetchedDocument:
    path = copies.reserve(REF)
    assert path is not None
    path.write_bytes(b"content")
    return FetchedDocument(REF, path, batch.claim(REF))


def opened(
    batch: Batch, copies: DocumentCopies, missing: tuple[int, ...] = (1, 2), **changes: object
) -> InFlightDocument:
    document = fetched(batch, copies)
    source = SharedDocument(document.path, OpenRequest(PageSelection(), 72))
    values: dict[str, object] = {"dynamic_form": False, "attachments": NO_ATTACHMENTS}
    return batch.opened(
        document,
        source,
        OpenedDocument(
            media_type="image/tiff",
            page_count=2,
            page_numbers=(1, 2),
            missing=missing,
            first=None,
            **(values | changes),  # type: ignore[arg-type]
        ),
    )


def row(store: Store) -> tuple[str, str | None, bool]:
    with Session(store.database.engine) as session:
        found = session.scalars(select(DocumentRow)).one()
        return found.status, found.error_code, found.retryable


def test_a_document_ends_with_its_last_page_and_its_copy_is_removed(
    batch: Batch, copies: DocumentCopies, store: Store
) -> None:
    document = opened(batch, copies)
    assert document.source.path.exists()
    batch.store([(document, page(1))])
    assert document.missing == {2}
    assert (row(store)[0], batch.summary.pages) == ("processing", 1)
    batch.store([(document, page(2))])
    assert row(store) == ("done", None, False)
    assert (batch.summary.documents, batch.summary.pages) == ({"done": 1}, 2)
    assert not document.source.path.exists()
    assert document.source.over
    assert batch.queue.open_documents == ()


def test_a_document_whose_pages_are_all_stored_ends_when_it_is_opened(
    batch: Batch, copies: DocumentCopies, store: Store
) -> None:
    other = Ledger(store.database, CONFIG, OTHER)
    lease = claim(other)
    for number in (1, 2):
        other.write_page(lease, page(number))
    run_out(store)
    document = opened(batch, copies, missing=())
    assert row(store)[0] == "done"
    assert (batch.summary.pages, batch.summary.pages_resumed) == (0, 2)
    assert not document.source.path.exists()


def test_pages_of_a_document_that_was_reclaimed_are_not_stored(
    batch: Batch, copies: DocumentCopies, store: Store
) -> None:
    document = opened(batch, copies)
    run_out(store)
    claim(Ledger(store.database, CONFIG, OTHER))
    assert batch.is_wanted(document)
    batch.store([(document, page(1))])
    assert document.lost
    assert not batch.is_wanted(document)
    batch.store([(document, page(2))])
    with Session(store.database.engine) as session:
        assert session.scalars(select(PageRow)).all() == []
    assert not document.source.path.exists()
    batch.close()
    assert batch.summary.documents == {"leased_by_others": 1}


def test_a_page_that_cannot_be_rendered_is_stored_with_the_others(
    batch: Batch, copies: DocumentCopies, store: Store
) -> None:
    document = opened(batch, copies)
    with PageWriter(batch.store) as batch.writer:
        batch.page_failed(document, 1, DocumentError(ErrorCode.DAMAGED_PAGE, "broken"))
        batch.writer.put(document, page(2))
    assert row(store)[0] == "partial"
    assert batch.summary.failed_pages == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DocumentError(ErrorCode.DAMAGED, "x"), ("failed", "damaged", False)),
        (UnavailableError(ErrorCode.RENDERER_KILLED, "x"), ("failed", "renderer_killed", True)),
    ],
)
def test_a_document_that_cannot_be_opened_fails(
    error: DocumentError | UnavailableError,
    expected: tuple[str, str, bool],
    batch: Batch,
    copies: DocumentCopies,
    store: Store,
) -> None:
    document = fetched(batch, copies)
    batch.failed(document, error)
    assert row(store) == expected
    assert not document.path.exists()


def test_an_overwritten_document_is_queued_as_its_newest_version(
    batch: Batch, copies: DocumentCopies
) -> None:
    assert batch.queue.pop() == REF
    batch.failed(fetched(batch, copies), OverwrittenError("gone"))
    assert batch.queue.pop() == REF.unversioned()


def test_an_error_of_the_infrastructure_is_stored_for_all_that_is_left(
    batch: Batch, copies: DocumentCopies, store: Store
) -> None:
    ahead = fetched(batch, copies)
    batch.queue.pop()
    batch.fail_rest(UnavailableError(ErrorCode.MODEL_UNAVAILABLE, "gone"), [ahead])
    assert row(store) == ("failed", "model_unavailable", True)


def test_nothing_is_claimed_any_more_after_the_stop(batch: Batch) -> None:
    batch.stop()
    assert batch.claim(REF) is None


def test_a_version_that_is_stored_is_skipped(batch: Batch, store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, OTHER)
    lease = claim(ledger)
    ledger.write_page(lease, page(1))
    ledger.complete(lease, media_type="", page_count=1, pages=1)
    assert batch.claim(REF) is None
    assert batch.summary.documents == {"skipped": 1}


def test_attachments_of_pages_and_document_are_noted_once(
    batch: Batch, copies: DocumentCopies
) -> None:
    whole = Attachments(1, ("a.pdf",), True)
    document = opened(batch, copies, attachments=whole)
    image = Image.new("1", (1, 1))
    # The first page brings those of the document.
    batch.rendered(document, Page(1, image, attachments=whole + Attachments(1, ("b.pdf",), True)))
    batch.rendered(document, Page(2, image, attachments=Attachments(1, ("c.pdf",), True)))
    assert document.report.attachments.count == 3
