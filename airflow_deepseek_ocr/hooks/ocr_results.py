"""Results for tasks that come after the operator: documents, pages, tables and exports as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_deepseek_ocr.airflow_support.connections import DEFAULT_DB_CONN_ID
from airflow_deepseek_ocr.airflow_support.documents import references
from airflow_deepseek_ocr.airflow_support.results_database import document_lists, open_store
from airflow_deepseek_ocr.airflow_support.table_names import configured_names
from airflow_deepseek_ocr.chunks import chunks
from airflow_deepseek_ocr.connection import values
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.browsing.result_reader import (
    OcrDocument,
    OcrExport,
    OcrPage,
    OcrRegion,
    OcrTable,
    read_documents,
    read_exports,
    read_pages,
    read_regions,
    read_tables,
)
from airflow_deepseek_ocr.store.lists.list_slice import LIST_KEY, ListSlice
from airflow_deepseek_ocr.store.reviews.corrections import Review, Seen, accept_page, correct_page

if TYPE_CHECKING:
    from airflow_deepseek_ocr.store.database import Database

#: Ids and URIs in one statement; SQLite takes at most 999 parameters in its oldest builds.
_CHUNK = 500


class OcrResults:
    """The results of documents in the results database.

    Texts are those that people corrected, where they did. Methods that yield read a bounded number of rows at
    a time. Use it in a ``with`` block, which closes the connections.

    :param db_conn_id: connection to the results database: postgres, mysql or sqlite.
    :param db_schema: schema of the tables; None takes the one of Airflow's configuration, or else the
        connection's own.
    :param db_table_prefix: beginning of the tables' names; None takes the one of Airflow's configuration.
    :raises ConfigurationError: ``database_connection``, ``database_type``, ``database_schema``, ``argument``.
    :raises DatabaseError: ``database_unavailable``, ``database_newer``, ``database_outdated``,
        ``database_rights``.
    """

    def __init__(
        self,
        db_conn_id: str = DEFAULT_DB_CONN_ID,
        *,
        db_schema: str | None = None,
        db_table_prefix: str | None = None,
    ) -> None:
        self._store = open_store(db_conn_id, names=configured_names(db_schema, db_table_prefix))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._store.close()

    @property
    def _database(self) -> Database:
        return self._store.database

    def documents_of(
        self, returned: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> Iterator[OcrDocument]:
        """Yield the documents that the operator was given, those stored before included.

        :param returned: return value of the operator, or those of mapped tasks.
        :raises ConfigurationError: ``argument`` if a return value does not name all its documents.
        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        summaries = [returned] if isinstance(returned, Mapping) else list(returned)
        for summary in summaries:
            left = summary.get("not_listed", {}).get("document_ids")
            if (left and LIST_KEY not in summary) or "document_ids" not in summary:
                raise ConfigurationError(
                    ErrorCode.ARGUMENT,
                    f"The operator's return value leaves out {left or 'all'} of its documents. Give the "
                    "operator smaller batches, or take the documents by their URIs.",
                )
        in_lists = [summary for summary in summaries if LIST_KEY in summary]
        ids = [
            number
            for summary in summaries
            if LIST_KEY not in summary
            for number in summary["document_ids"]
        ]
        found = [
            self._of_list(ListSlice.of(each[LIST_KEY]), each["config_key"]) for each in in_lists
        ]
        return chain(self.documents(ids=ids), *found)

    def _of_list(self, part: ListSlice, config_key: str) -> Iterator[OcrDocument]:
        document = self._database.rows.document
        refs = document_lists(self._store).read(part)
        for chunk in chunks(refs, _CHUNK):
            own = document.version_key.in_([ref.version_key for ref in chunk])
            yield from read_documents(self._database, own & (document.config_key == config_key))

    def documents_of_list(self, batches: Any) -> Iterator[dict[str, Any]]:
        """Yield the documents of batches of the sensor, as it returns those of short lists.

        :param batches: a batch that names a part of a stored list, or a list of batches of any kind.
        :raises ConfigurationError: ``document_list`` if there is no such list; ``document_reference``.
        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        return (ref.as_dict() for ref in self._references(batches))

    def _references(self, batches: Any) -> Iterator[DocumentRef]:
        lists = document_lists(self._store)
        for each in references(batches):
            yield from lists.read(each) if isinstance(each, ListSlice) else [each]

    def store_list(
        self, documents: Iterable[Any], *, batch_size: int = 128, origin: str = "a task"
    ) -> list[dict[str, Any]]:
        """Store a list of documents, and return its parts, over which the operator can be mapped.

        :param documents: URIs, or documents or batches as the sensor returns them, those of stored lists
            included; a few thousand are in memory.
        :param batch_size: documents in each part.
        :param origin: their place, for people who read the table.
        :raises ConfigurationError: ``document_reference``; ``document_list``; ``argument`` if ``batch_size``
            is no integer of at least 1.
        :raises DatabaseError: ``database_unavailable``, ``database_full``, ``database_rights``.
        """
        size = values.count("batch_size", batch_size)
        lists = document_lists(self._store)
        refs = (ref for each in documents for ref in self._references(each))
        return [part.as_dict() for part in lists.write(refs, origin).parts(size)]

    def documents(
        self,
        *,
        ids: Iterable[int] | None = None,
        uris: Iterable[str] | None = None,
        dag_id: str | None = None,
        run_id: str | None = None,
        config_key: str | None = None,
    ) -> Iterator[OcrDocument]:
        """Yield the rows of ``ocr_documents`` for which all arguments hold; None holds for each row.

        :param ids: rows, as the operator returns them under ``document_ids``.
        :param uris: documents, all versions of each.
        :param dag_id: the DAG of the task that read the document last.
        :param run_id: the run of that task. A run skips documents that were stored before it.
        :param config_key: the processing configuration, as the operator returns it.
        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        document = self._database.rows.document
        given = {"dag_id": dag_id, "run_id": run_id, "config_key": config_key}
        # A condition that is always true, as there may be no argument.
        condition = document.id > 0
        for name, value in given.items():
            if value is not None:
                condition &= getattr(document, name) == value
        if ids is None and uris is None:
            yield from read_documents(self._database, condition)
            return
        column, values = (document.id, ids) if ids is not None else (document.uri, uris)
        if ids is not None and uris is not None:
            raise ConfigurationError(ErrorCode.ARGUMENT, "Give either ids or uris, not both.")
        chosen = list(dict.fromkeys(values or ()))
        for start in range(0, len(chosen), _CHUNK):
            yield from read_documents(
                self._database, condition & column.in_(chosen[start : start + _CHUNK])
            )

    def pages(self, document: OcrDocument | int) -> Iterator[OcrPage]:
        """Yield the pages of a document in order, failed ones included.

        :param document: the document, or its id.
        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        return read_pages(self._database, _id(document))

    def text(self, document: OcrDocument | int) -> str:
        """Return the Markdown of a document's pages, separated by empty lines.

        :param document: the document, or its id.
        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        return "\n\n".join(page.text for page in self.pages(document) if page.text)

    def regions(self, page: OcrPage) -> list[OcrRegion]:
        """Return the regions of a page in reading order.

        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        return read_regions(self._database, page.id)

    def tables(self, document: OcrDocument | int) -> Iterator[OcrTable]:
        """Yield the tables of a document in the order of its pages.

        :param document: the document, or its id.
        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        return read_tables(self._database, _id(document))

    def exports(self, *documents: OcrDocument | int) -> Iterator[OcrExport]:
        """Yield the files that were written from documents.

        :param documents: the documents, or their ids.
        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        return read_exports(self._database, [_id(document) for document in documents])

    def accept(self, page: OcrPage, *, by: str) -> Review:
        """Store that a person has found a page good as it is.

        :param page: as the person saw it.
        :param by: the person.
        :raises ReviewConflictError: ``review_conflict``; the page is another one by now.
        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        seen = Seen(page.created_at, page.reviewed_at)
        return accept_page(self._database, page.id, by=by, seen=seen)

    def correct(self, page: OcrPage, text: str | None, *, by: str) -> Review:
        """Store a person's Markdown of a page beside the model's.

        :param page: as the person saw it.
        :param text: Markdown; None takes the correction back.
        :param by: the person.
        :raises ReviewConflictError: ``review_conflict``; the page is another one by now.
        :raises ConfigurationError: ``argument`` if the text is too long.
        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        seen = Seen(page.created_at, page.reviewed_at)
        return correct_page(self._database, page.id, text, by=by, seen=seen)


def _id(document: OcrDocument | int) -> int:
    return document if isinstance(document, int) else document.id
