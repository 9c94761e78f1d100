"""Attached files of the documents of a batch, which are processed as separate documents."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile
from airflow_deepseek_ocr.pipeline.document_queue import DocumentQueue
from airflow_deepseek_ocr.store.ledger import Ledger


class AttachedDocuments:
    """Queues attached files; several threads may use it.

    :param queue: the batch.
    :param ledger: claims the documents.
    :param overwrite: read files again that are stored already.
    """

    def __init__(self, queue: DocumentQueue, ledger: Ledger, *, overwrite: bool) -> None:
        self._queue, self._ledger, self._overwrite = queue, ledger, overwrite
        self._queued: set[str] = set()
        self._unfinished: dict[str, list[DocumentRef]] | None = None
        self._lock = threading.Lock()

    def add(
        self, container: DocumentRef, files: Sequence[AttachedFile], page: int | None = None
    ) -> None:
        """Queue the files attached to a document whose pages are being processed.

        They are claimed before the document ends: if this task dies, their rows say that they are missing.

        :param container: the document.
        :param files: the files that are attached to it.
        :param page: the page that they are attached to; None for those of the whole document.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        self._push(container.attachments(files, page), reserve=True)

    def add_unfinished(self, container: DocumentRef) -> None:
        """Queue the files of a document that is stored already, as far as a task left them unfinished.

        :param container: the document.
        :raises DatabaseError: ``database_unavailable``.
        """
        with self._lock:
            if self._unfinished is None:
                self._unfinished = self._ledger.unfinished_attachments()
        self._push(self._unfinished.get(container.version_key, ()), reserve=False)

    def _push(self, refs: Iterable[DocumentRef], *, reserve: bool) -> None:
        for ref in refs:
            with self._lock:
                is_new = ref.version_key not in self._queued
                self._queued.add(ref.version_key)
            if is_new:
                if reserve:
                    self._ledger.claim(ref, overwrite=self._overwrite, reserve=True)
                self._queue.push(ref)
