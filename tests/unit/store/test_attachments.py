"""Rows of attached files that need work."""

from __future__ import annotations

from sqlalchemy import text

from airflow_deepseek_ocr.exceptions import DocumentError, UnavailableError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile
from airflow_deepseek_ocr.store.attachments import unfinished_attachments
from airflow_deepseek_ocr.store.leases import Lease
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fakes.batch_engine import CONFIG, A

CONTAINER = DocumentRef("s3://b/c.pdf", "v1", "v1", "e1")


def test_unfinished_files_are_found_by_the_document_in_the_storage(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, A)
    names = ["open.pdf", "busy.pdf", "broken.pdf"]
    files = [AttachedFile(number, name) for number, name in enumerate(names, 1)]
    waiting, busy, broken = CONTAINER.attachments(files)
    (deep,) = waiting.attachments([AttachedFile(1, "deep.png")])
    key = DocumentRef("s3://b/c.pdf#attachment=key.pdf", "v2", "v2", "e2")
    leases = {ref: ledger.claim(ref) for ref in (CONTAINER, waiting, busy, broken, deep, key)}
    for ref, error in (
        (busy, UnavailableError("storage_unavailable", "away")),
        (broken, DocumentError("damaged", "broken")),
    ):
        lease = leases[ref]
        assert isinstance(lease, Lease)
        ledger.fail(lease, failure(error))
    assert unfinished_attachments(store.database, CONFIG.key) == {
        CONTAINER.version_key: [waiting, busy, deep]
    }
    assert unfinished_attachments(store.database, "0" * 64) == {}
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE ocr_documents SET status = 'done', retryable = false"))
    assert unfinished_attachments(store.database, CONFIG.key) == {}
