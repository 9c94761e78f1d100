"""The queue of a batch: which documents this task has claimed, has open, or leaves to other tasks."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.in_flight import InFlightDocument
from airflow_deepseek_ocr.pipeline.reports.capped_lines import CappedLines
from airflow_deepseek_ocr.store.leases import AlreadyFinal, Lease, LeasedByAnother
from airflow_deepseek_ocr.store.ledger import Ledger

#: The owner of a lease that was lost: its row is not read again to learn the task's name.
RECLAIMED_BY = "the task that reclaimed it"


class DocumentQueue:
    """The documents of one batch and their leases.

    Several threads may use it.

    :param refs: the batch; a reference that occurs twice is queued once.
    :param ledger: claims the documents.
    :param lines: of the log.
    :param overwrite: claim documents that are final too.
    :ivar size: number of documents in the batch.
    """

    def __init__(
        self, refs: Iterable[DocumentRef], ledger: Ledger, lines: CappedLines, *, overwrite: bool
    ) -> None:
        self._lock = threading.RLock()
        self._waiting = deque(dict.fromkeys(refs))
        self.size = len(self._waiting)
        self._ledger, self._lines, self._overwrite = ledger, lines, overwrite
        self._claimed: set[str] = set()
        self._forgotten: set[str] = set()
        self._open: list[InFlightDocument] = []
        self._leased_by_others: dict[str, tuple[DocumentRef, str]] = {}
        self._logged_owners: dict[str, str] = {}

    def pop(self) -> DocumentRef | None:
        """Return the next document, or None if the queue is empty."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def push(self, ref: DocumentRef) -> None:
        """Add a document at the end."""
        with self._lock:
            self._waiting.append(ref)
            self.size += 1

    def push_back(self, ref: DocumentRef) -> None:
        """Return a document that :meth:`pop` gave, as the next one."""
        with self._lock:
            self._waiting.appendleft(ref)

    @property
    def waiting_count(self) -> int:
        """How many documents are queued."""
        return len(self._waiting)

    def claim(self, ref: DocumentRef, *, together: bool = False) -> Lease | AlreadyFinal | None:
        """Claim a document version; None if another task has its lease.

        A batch may name a version twice, with and without its version; its second claim is answered as
        final.

        :param together: see :meth:`Ledger.claim`.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        key = ref.version_key
        with self._lock:
            if key in self._claimed:
                return AlreadyFinal()
            self._claimed.add(key)
        try:
            # Without the lock: other threads claim meanwhile.
            claimed = self._ledger.claim(ref, overwrite=self._overwrite, together=together)
        except BaseException:
            self._claimed.discard(key)
            raise
        if not isinstance(claimed, LeasedByAnother):
            return claimed
        with self._lock:
            self._claimed.discard(key)
            self._leased_by_others[key] = ref, claimed.owner
            if self._logged_owners.get(key) != claimed.owner:
                self._logged_owners[key] = claimed.owner
                self._lines.write("leased documents", f"{ref.uri} is leased by {claimed.owner}.")
        return None

    def open(self, document: InFlightDocument) -> None:
        """Add a document whose pages are processed."""
        with self._lock:
            self._open.append(document)

    def close(self, lease: Lease | None) -> None:
        """Remove the open document that has this lease, if there is one."""
        with self._lock:
            self._open = [document for document in self._open if document.lease is not lease]

    def lose(self, ref: DocumentRef, lease: Lease | None) -> None:
        """Leave a document to the task that has reclaimed it, or for good if its row was deleted.

        A deleted document is not claimed again: it was deleted on purpose.

        :raises DatabaseError: ``database_unavailable``.
        """
        with self._lock:
            for document in self._open:
                document.lost = document.lost or document.lease is lease
            self.close(lease)
        if self._ledger.is_forgotten(ref):
            line = f"{ref.uri} was deleted from the results database; it is left out."
            self._lines.write("deleted documents", line, logging.WARNING)
            self._forgotten.add(ref.version_key)
            return
        line = f"{ref.uri} was reclaimed by another task."
        self._lines.write("reclaimed documents", line, logging.WARNING)
        with self._lock:
            self._claimed.discard(ref.version_key)
            self._leased_by_others[ref.version_key] = ref, RECLAIMED_BY

    def retry_leased_by_others(self) -> None:
        """Queue the documents that other tasks had leased."""
        with self._lock:
            self._waiting.extend(ref for ref, _ in self._leased_by_others.values())
            self._leased_by_others.clear()

    @property
    def open_documents(self) -> tuple[InFlightDocument, ...]:
        """The documents that are not ended."""
        with self._lock:
            return tuple(self._open)

    @property
    def leased_by_others(self) -> dict[str, str]:
        """The owners of documents that other tasks have leased, by URI."""
        with self._lock:
            return {ref.uri: owner for ref, owner in self._leased_by_others.values()}

    @property
    def leased_by_others_count(self) -> int:
        """How many document versions other tasks have leased."""
        return len(self._leased_by_others)

    @property
    def forgotten_count(self) -> int:
        """How many claimed document versions were deleted from the results database."""
        return len(self._forgotten)
