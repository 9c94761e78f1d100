"""The queue of a batch, with a ledger on SQLite."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.rendering.messages import OpenRequest
from airflow_deepseek_ocr.ocr.rendering.pool import SharedDocument
from airflow_deepseek_ocr.pipeline.document_queue import RECLAIMED_BY, DocumentQueue
from airflow_deepseek_ocr.pipeline.in_flight import InFlightDocument
from airflow_deepseek_ocr.pipeline.reports.capped_lines import CappedLines
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import forget
from airflow_deepseek_ocr.store.leases import AlreadyFinal, Lease
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.stored_documents import CONFIG, OTHER, REF, TASK, claim, page, read

LINES = CappedLines(logging.getLogger(__name__))

ANOTHER = DocumentRef("s3://bucket/another.pdf", "v1")


def queue(store: Store, *refs: DocumentRef, overwrite: bool = False) -> DocumentQueue:
    return DocumentQueue(
        refs,
        Ledger(store.database, CONFIG, TASK),
        LINES,
        overwrite=overwrite,
    )


def in_flight(ref: DocumentRef, lease: Lease) -> InFlightDocument:
    return InFlightDocument(
        ref=ref,
        lease=lease,
        media_type="",
        page_count=1,
        page_numbers=(1,),
        missing={1},
        source=SharedDocument(Path("document-0"), OpenRequest(PageSelection(), 72)),
    )


def test_documents_come_once_and_in_order(store: Store) -> None:
    batch = queue(store, REF, ANOTHER, REF)
    assert (batch.pop(), batch.pop(), batch.pop()) == (REF, ANOTHER, None)
    batch.push(REF.unversioned())
    assert batch.pop() == REF.unversioned()


def test_a_version_is_claimed_once(store: Store) -> None:
    batch = queue(store)
    assert isinstance(batch.claim(REF), Lease)
    assert batch.claim(REF) == AlreadyFinal()


def test_a_stored_version_is_claimed_only_to_overwrite_it(store: Store) -> None:
    read(Ledger(store.database, CONFIG, OTHER), page(1))
    assert queue(store).claim(REF) == AlreadyFinal()
    assert isinstance(queue(store, overwrite=True).claim(REF), Lease)


def test_documents_of_other_tasks_are_queued_again(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    other = Ledger(store.database, CONFIG, OTHER)
    claim(other)
    batch = queue(store)
    with caplog.at_level("INFO"):
        assert batch.claim(REF) is None
        owner = "dag, another run, task[3], try 1"
        assert batch.leased_by_others == {REF.uri: owner}
        batch.retry_leased_by_others()
        assert batch.leased_by_others_count == 0
        assert batch.pop() == REF
        assert batch.claim(REF) is None
    assert caplog.text.count("is leased by") == 1, "an owner is logged once"
    other.release()
    batch.retry_leased_by_others()
    assert isinstance(batch.claim(REF), Lease)


def test_an_open_document_is_closed_or_lost(store: Store) -> None:
    batch = queue(store)
    documents = []
    for ref in (REF, ANOTHER):
        lease = batch.claim(ref)
        assert isinstance(lease, Lease)
        documents.append(in_flight(ref, lease))
        batch.open(documents[-1])
    first, second = documents
    assert batch.open_documents == (first, second)
    batch.close(None)
    batch.close(first.lease)
    assert batch.open_documents == (second,)
    batch.lose(second.ref, second.lease)
    assert (second.lost, first.lost, batch.open_documents) == (True, False, ())
    assert batch.leased_by_others == {ANOTHER.uri: RECLAIMED_BY}


def test_a_document_that_was_deleted_is_left_out_for_good(store: Store) -> None:
    batch = queue(store, REF)
    lease = batch.claim(REF)
    assert isinstance(lease, Lease)
    batch.open(in_flight(REF, lease))
    (found,) = find(store.database, Selection(uris=(REF.uri,)))
    forget(store.database, found.document_key, force=True)
    batch.lose(REF, lease)
    assert (batch.forgotten_count, batch.leased_by_others_count) == (1, 0)
    assert batch.open_documents == ()
    # The batch may name the document again.
    assert batch.claim(REF) == AlreadyFinal()
    assert list(find(store.database, Selection(uris=(REF.uri,)))) == []
