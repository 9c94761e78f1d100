"""The rows of exported files: documents that are exported at the same time share a transaction."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.pages.exported_documents import ExportedFile, write_exports


class ExportRows:
    """Stores the files of documents; several threads may use it.

    While a transaction is in progress, further documents collect for the next one. With one for each, the
    threads that read would wait for the lock of a file of SQLite.

    :param database: has the rows of the documents.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock, self._transaction = threading.Lock(), threading.Lock()
        self._waiting: list[tuple[int, Sequence[ExportedFile], Future[None]]] = []

    def write(self, document_id: int, files: Sequence[ExportedFile]) -> None:
        """Store the files of a document, and return when they are stored.

        :param document_id: its row.
        :param files: all its files.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        stored: Future[None] = Future()
        with self._lock:
            self._waiting.append((document_id, files, stored))
        with self._transaction:
            self._write_all()
        stored.result()

    def _write_all(self) -> None:
        """Store all that waits, unless the transaction before had it."""
        with self._lock:
            documents, self._waiting = self._waiting, []
        if not documents:
            return
        try:
            write_exports(self._database, [(number, files) for number, files, _ in documents])
        except BaseException as error:
            for _, _, stored in documents:
                stored.set_exception(error)
        else:
            for _, _, stored in documents:
                stored.set_result(None)
