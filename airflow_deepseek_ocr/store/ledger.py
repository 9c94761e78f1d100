"""The ledger: leases on document versions, and pages stored as they finish.

The row in ``ocr_documents`` is the lease; ``docs/design/exactly-once.md`` describes the protocol.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.concurrency.shared_calls import SharedCalls
from airflow_deepseek_ocr.exceptions import (
    DatabaseError,
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig, document_key
from airflow_deepseek_ocr.ocr.results import (
    DocumentResult,
    DocumentStatus,
    PageResult,
)
from airflow_deepseek_ocr.store.attachments import unfinished_attachments
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.leases import (
    DEFAULT_LEASE,
    Claimed,
    Lease,
    LeaseLostError,
    leases_unchanged,
)
from airflow_deepseek_ocr.store.pages.document_claims import (
    Claim,
    Claimant,
    claim_documents,
)
from airflow_deepseek_ocr.store.pages.inserts import UnstorableError
from airflow_deepseek_ocr.store.pages.page_batches import (
    Completion,
    DocumentPages,
    StoredPages,
    complete_document,
    end_document,
    fence,
    leased_by,
    write_documents,
)
from airflow_deepseek_ocr.store.pages.page_rows import store_page, unstorable
from airflow_deepseek_ocr.store.row_values import TaskInfo, task_values

log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: Claims in a transaction: those of all threads that fetch documents (``pipeline/documents_ahead.py``). And
#: seconds for which a claim waits for those of other threads: of 80 documents a second, three share a
#: transaction. A claim alone takes 3 ms of CPU time on SQLite, one of four 0.8, one of eight 0.4.
_MOST_CLAIMS, _GATHER_S = 8, 0.025
#: Renewals in the time of a lease: several may fail before it expires.
_RENEWALS = 4


class Ledger:
    """Claims documents for one task and stores their pages.

    :param database: with the tables in place.
    :param config: the task's processing configuration.
    :param task: the task instance.
    :param lease: time after which a lease expires unless it is renewed.
    """

    def __init__(
        self,
        database: Database,
        config: ProcessingConfig,
        task: TaskInfo,
        lease: timedelta = DEFAULT_LEASE,
    ) -> None:
        self._database, self._config, self._lease = database, config, lease
        self._rows = database.rows
        self._document = self._rows.document
        # As the row has it, since the two are compared.
        self._claimant = Claimant(TaskInfo(**task_values(task)), config, lease)
        self._claims = SharedCalls(
            self._claim_together, key_of=Claim.key, most=_MOST_CLAIMS, gather_s=_GATHER_S
        )
        self._lock = threading.Lock()
        self._leases: dict[int, Lease] = {}
        self._reserved: dict[str, Lease] = {}

    def claim(
        self,
        ref: DocumentRef,
        *,
        overwrite: bool = False,
        reserve: bool = False,
        together: bool = False,
    ) -> Claimed:
        """Lease a document version to this task, unless it is final or leased by another task.

        An expired lease is reclaimed. The lease of an earlier try of the same task instance is reclaimed
        at once, because that try is over.

        :param overwrite: claim a document that is final too, unless this task instance stored it.
        :param reserve: return the lease at the next call, too: the document is processed then.
        :param together: wait a moment for claims of other threads, which then share the transaction.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        with self._lock:
            reserved = self._reserved.pop(ref.version_key, None)
        if reserved is not None and self.holds(reserved):
            return reserved
        claim = Claim.of(ref, overwrite=overwrite)
        claimed = self._claims.call(claim) if together else self._claim_together([claim])[0]
        if isinstance(claimed, Lease):
            with self._lock:
                self._leases[claimed.document_id] = claimed
                if reserve:
                    self._reserved[ref.version_key] = claimed
        return claimed

    def _claim_together(self, claims: Sequence[Claim]) -> list[Claimed]:
        return self._database.transaction(
            lambda session: claim_documents(session, self._rows, self._claimant, claims)
        )

    def unfinished_attachments(self) -> dict[str, list[DocumentRef]]:
        """See :func:`~airflow_deepseek_ocr.store.attachments.unfinished_attachments`."""
        return unfinished_attachments(self._database, self._config.key)

    def write_page(self, lease: Lease, page: PageResult) -> PageResult:
        """Store a page with its regions in one transaction, in place of the page stored before.

        :return: the page as stored: failed with ``unstorable`` if the database does not take its data.
        :raises LeaseLostError: ``lease_lost``; another task has reclaimed the document.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """

        def work(session: Session) -> None:
            fence(session, self._rows, lease)
            store_page(session, self._rows, lease.document_id, page)

        try:
            self._write(lease, work)
        except UnstorableError as error:
            if page.error_code == error.code:
                raise DatabaseError(
                    ErrorCode.DATABASE_UNAVAILABLE,
                    f"The results database takes no row of a page. {error}",
                ) from None
            return self.write_page(lease, unstorable(page, error))
        return page

    def write_documents(self, documents: Sequence[DocumentPages]) -> list[StoredPages]:
        """Store pages of several documents in one transaction, and end the documents that are complete.

        If the database does not take the data of a page, all are stored one by one.

        :return: the stored part of each document.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        try:
            stored = self._database.transaction(
                lambda session: write_documents(session, self._rows, documents)
            )
        except UnstorableError:
            stored = [self._write_alone(document) for document in documents]
        for document, outcome in zip(documents, stored, strict=True):
            if outcome.is_lost or outcome.result is not None:
                self._forget(document.lease)
        return stored

    def _write_alone(self, document: DocumentPages) -> StoredPages:
        lease, end = document.lease, document.completion
        try:
            pages = tuple(self.write_page(lease, page) for page in document.pages)
            return StoredPages(pages, None if end is None else self.complete(lease, **vars(end)))
        except LeaseLostError:
            return StoredPages(is_lost=True)

    def complete(
        self,
        lease: Lease,
        *,
        media_type: str,
        page_count: int,
        pages: int,
        note: str | None = None,
    ) -> DocumentResult:
        """Set the document's status from its pages and release the lease; see :class:`Completion`.

        :return: the result stored.
        :raises LeaseLostError: ``lease_lost``; another task has reclaimed the document, or rows of pages
            were deleted.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """

        def work(session: Session) -> DocumentResult:
            fence(session, self._rows, lease)
            return complete_document(session, self._rows, lease, completion)

        completion = Completion(
            media_type=media_type, page_count=page_count, pages=pages, note=note
        )
        return self._write(lease, work, last=True)

    def fail(self, lease: Lease, result: DocumentResult) -> None:
        """Store why the document failed and release the lease; its stored pages stay.

        :param result: see :func:`failure`.
        :raises LeaseLostError: ``lease_lost``; another task has reclaimed the document.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        self._write(
            lease, lambda session: end_document(session, self._rows, lease, result), last=True
        )

    def fail_unclaimed(self, ref: DocumentRef, result: DocumentResult) -> None:
        """Store why a document failed before it was claimed, unless another task has its lease.

        One transaction claims and ends the row: if the task died between two, a row without a version
        would stay open, and no listing would find it.

        :param result: see :func:`failure`.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        claim = Claim.of(ref)

        def work(session: Session) -> None:
            (claimed,) = claim_documents(session, self._rows, self._claimant, [claim])
            if isinstance(claimed, Lease):
                end_document(session, self._rows, claimed, result)

        self._database.transaction(work)

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew the leases in a background thread until the block ends, then release those left."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(self._lease.total_seconds() / _RENEWALS):
                self.renew()

        thread = threading.Thread(target=renew, name="lease-renewal", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.release()

    def holds(self, lease: Lease) -> bool:
        """Return whether this task has the lease, as far as it knows without asking the database."""
        return self._leases.get(lease.document_id) is lease

    def is_forgotten(self, ref: DocumentRef) -> bool:
        """Return whether a claimed document has no row any more.

        :raises DatabaseError: ``database_unavailable``.
        """
        row = select(self._document.id).where(
            self._document.document_key == document_key(ref, self._config)
        )
        return self._database.transaction(lambda session: session.scalar(row)) is None

    def release(self) -> None:
        """Release all leases so that other tasks need not wait; without the database they expire."""
        with self._lock:
            leases = [self._leases.pop(document_id) for document_id in sorted(self._leases)]
        self._change_quietly(leases, {"lease_expires_at": None})

    def renew(self) -> None:
        """Renew all leases, and forget those that another task has reclaimed."""
        with self._lock:
            leases = [self._leases[document_id] for document_id in sorted(self._leases)]
        for lost in self._change_quietly(leases, {"lease_expires_at": DatabaseTime(self._lease)}):
            self._forget(lost)

    def _change_quietly(self, leases: list[Lease], values: dict[str, Any]) -> list[Lease]:
        """Change the rows of these leases, and return the leases that were lost."""

        def work(session: Session) -> list[Lease]:
            return [lease for lease in leases if not self._change(session, lease, values)]

        if not leases:
            return []
        try:
            return self._database.transaction(work, patient=False)
        except DatabaseError as error:
            since, lease_s = self._database.outage.since, self._lease.total_seconds()
            pause_s = None if values["lease_expires_at"] is None else lease_s / _RENEWALS
            log.warning("%s %s", leases_unchanged(len(leases), since, lease_s, pause_s), error)
            return []

    def _change(self, session: Session, lease: Lease, values: dict[str, Any]) -> bool:
        leased = leased_by(self._rows, lease) & self._document.lease_expires_at.is_not(None)
        changed = session.execute(update(self._document).where(leased).values(values))
        return changed.rowcount > 0  # type: ignore[attr-defined,no-any-return]

    def _write(self, lease: Lease, work: Callable[[Session], _T], *, last: bool = False) -> _T:
        try:
            result = self._database.transaction(work)
        except LeaseLostError:
            self._forget(lease)
            raise
        if last:
            self._forget(lease)
        return result

    def _forget(self, lease: Lease) -> None:
        with self._lock:
            if self.holds(lease):
                del self._leases[lease.document_id]


def failure(error: DeepSeekOCRError, retryable: bool | None = None) -> DocumentResult:
    """Return the result of a document that failed with ``error``.

    :param retryable: whether a later try may succeed; if None, the error's class decides.
    """
    if retryable is None:
        retryable = isinstance(error, UnavailableError)
    return DocumentResult(
        DocumentStatus.FAILED, error_code=error.code, error=str(error), retryable=retryable
    )
