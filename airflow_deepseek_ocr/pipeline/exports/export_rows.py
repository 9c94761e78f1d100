"""The rows of exported files: documents that are exported at the same time share a transaction."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_deepseek_ocr.concurrency.shared_calls import SharedCalls
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.pages.exported_documents import ExportedFile, write_exports

#: Documents of a transaction, at most: as many as threads export at once.
_MOST_DOCUMENTS = 16


class ExportRows:
    """Stores the files of documents; several threads may use it.

    While a transaction is in progress, further documents collect for the next one. With one for each, the
    threads that read would wait for the lock of a file of SQLite.

    :param database: has the rows of the documents.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._calls = SharedCalls(self._write, lambda each: each[0], _MOST_DOCUMENTS, gather_s=0)

    def write(self, document_id: int, files: Sequence[ExportedFile]) -> None:
        """Store the files of a document, and return when they are stored.

        :param document_id: its row.
        :param files: all its files.
        :raises DatabaseError: ``database_unavailable``, ``database_full``.
        """
        self._calls.call((document_id, files))

    def _write(self, documents: Sequence[tuple[int, Sequence[ExportedFile]]]) -> list[None]:
        write_exports(self._database, documents)
        return [None] * len(documents)
