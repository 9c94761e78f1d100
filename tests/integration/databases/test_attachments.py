"""Rows of attached files on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile
from airflow_deepseek_ocr.store.attachments import unfinished_attachments
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.leases import Lease
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.stored_documents import CONFIG

CONTAINER = DocumentRef("s3://b/c_%.pdf", "v1", "v1", "e1")


def test_attached_files_are_found_retried_and_forgotten(
    store: Store, ledger: Callable[..., Ledger]
) -> None:
    task = ledger()
    files = [AttachedFile(1, "ä.pdf"), AttachedFile(2, "broken.pdf")]
    waiting, broken = CONTAINER.attachments(files)
    other = DocumentRef("s3://b/c_x.pdf", "v1")
    leases = {ref: task.claim(ref) for ref in (CONTAINER, waiting, broken, other)}
    lease = leases[broken]
    assert isinstance(lease, Lease)
    task.fail(lease, failure(UnavailableError("storage_unavailable", "away")))
    assert unfinished_attachments(store.database, CONFIG.key) == {
        CONTAINER.version_key: [waiting, broken]
    }
    ((due, _),) = store.abandoned(CONFIG.key, timedelta(0))
    assert due == broken
    found = find(store.database, Selection(uris=(CONTAINER.uri,)))
    assert [each.uri for each in found] == [CONTAINER.uri, waiting.uri, broken.uri]
