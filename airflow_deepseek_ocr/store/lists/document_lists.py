"""Lists of documents in the results database, for lists that are too long for an XCom."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.chunks import chunks
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.attachments import REFERENCE, reference_of
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice
from airflow_deepseek_ocr.store.row_values import fit

#: Time after which a list is deleted.
DEFAULT_KEPT = timedelta(days=30)
#: Documents written or read in one transaction, which then takes less than a second.
_BATCH = 5_000
#: Rows of one statement. The longest keys of S3 have 6 KB as JSON: the statement has 3 MB, and MySQL's and
#: MariaDB's limit max_allowed_packet is 16 MB or more by default.
_ROWS = 500
#: Expired lists deleted before a new one is written.
_DELETED_AT_ONCE = 10


class DocumentLists:
    """The lists of documents of a results database.

    :param database: with the tables in place.
    :param kept: time after which a list is deleted.
    """

    def __init__(self, database: Database, kept: timedelta = DEFAULT_KEPT) -> None:
        self._database, self._kept = database, kept
        self._list, self._item = database.rows.document_list, database.rows.list_item

    def write(self, documents: Iterable[DocumentRef], origin: str) -> ListSlice:
        """Store a list, and delete lists that have expired.

        A list that is cut off by an error cannot be read, and is deleted like the others.

        :param documents: its documents, of which a bounded number is kept in memory.
        :param origin: their place, for people who read the table.
        :return: the whole list.
        :raises DatabaseError: ``database_unavailable``, ``database_full``, ``database_rights``.
        """
        self.delete_expired()
        key, count = secrets.token_hex(16), 0
        list_id = self._database.transaction(lambda session: self._create(session, key, origin))
        for batch in chunks(documents, _BATCH):
            self._add(list_id, count, batch)
            count += len(batch)
        complete = update(self._list).where(self._list.id == list_id).values(document_count=count)
        self._database.transaction(lambda session: session.execute(complete))
        return ListSlice(key, 0, count)

    def write_stored(self, document_ids: Sequence[int], origin: str) -> ListSlice:
        """Store a list of documents that have rows.

        :param document_ids: ids of their rows.
        :param origin: see :meth:`write`.
        :raises DatabaseError: ``database_unavailable``, ``database_full``, ``database_rights``.
        """
        return self.write(self._with_ids(document_ids), origin)

    def read(self, part: ListSlice) -> Iterator[DocumentRef]:
        """Yield the documents of a part of a list, in its order, without those that were forgotten.

        :raises ConfigurationError: ``document_list`` if there is no such list, or no such part of it.
        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """
        row = self._database.transaction(
            lambda session: session.execute(
                select(self._list.id, self._list.document_count).where(
                    self._list.list_key == part.key
                )
            ).one_or_none()
        )
        if row is None or row.document_count is None:
            raise self._missing(part)
        end = row.document_count if part.count is None else part.first + part.count
        if end > row.document_count or part.first > end:
            raise ConfigurationError(
                ErrorCode.DOCUMENT_LIST,
                f"The list of documents {part.key} has {row.document_count:,} documents, and none from "
                f"{part.first:,} to {end:,}. Give the reference as the task returned it.",
            )
        for first in range(part.first, end, _BATCH):
            found = self._read(row.id, first, min(end, first + _BATCH))
            if found is None:
                raise self._missing(part)
            yield from found

    def _missing(self, part: ListSlice) -> ConfigurationError:
        return ConfigurationError(
            ErrorCode.DOCUMENT_LIST,
            f"The results database has no list of documents {part.key} in its table "
            f"{self._list.__tablename__}. It has expired, or the task that stored it has other values of "
            "db_conn_id, db_schema or db_table_prefix. Nothing is lost: clear that task, or run the DAG "
            "again, and it lists the documents that have no row once more.",
        )

    def delete_expired(self) -> int:
        """Delete some of the lists that have expired, and return how many.

        :raises DatabaseError: ``database_unavailable``, ``database_rights``.
        """

        def work(session: Session) -> Sequence[int]:
            expired = select(self._list.id).where(self._list.expires_at < DatabaseTime())
            return session.scalars(expired.limit(_DELETED_AT_ONCE)).all()

        found = self._database.transaction(work)
        for list_id in found:
            # ON DELETE CASCADE deletes its items.
            statement = delete(self._list).where(self._list.id == list_id)
            self._database.transaction(partial(Session.execute, statement=statement))
        return len(found)

    def _with_ids(self, document_ids: Sequence[int]) -> Iterator[DocumentRef]:
        document = self._database.rows.document
        columns = [getattr(document, name) for name in REFERENCE]
        for start in range(0, len(document_ids), _ROWS):
            own = document.id.in_(document_ids[start : start + _ROWS])
            query = select(*columns).where(own).order_by(document.id)
            yield from map(reference_of, self._database.transaction(partial(_all, query=query)))

    def _create(self, session: Session, key: str, origin: str) -> int:
        # It is there if the answer of an earlier commit was lost.
        query = select(self._list.id).where(self._list.list_key == key)
        if (found := session.scalar(query)) is not None:
            return found
        session.execute(
            insert(self._list).values(
                list_key=key,
                **fit(self._list, {"origin": origin}),
                created_at=DatabaseTime(),
                expires_at=DatabaseTime(self._kept),
            )
        )
        return session.scalars(query).one()

    def _add(self, list_id: int, first: int, documents: Sequence[DocumentRef]) -> None:
        values = [_values(list_id, first + offset, ref) for offset, ref in enumerate(documents)]

        def work(session: Session) -> None:
            # They are there if the answer of an earlier commit was lost.
            own = (self._item.list_id == list_id) & (self._item.position >= first)
            session.execute(delete(self._item).where(own))
            for start in range(0, len(values), _ROWS):
                session.execute(insert(self._item), values[start : start + _ROWS])

        self._database.transaction(work)

    def _read(self, list_id: int, first: int, end: int) -> list[DocumentRef] | None:
        """Return documents; None if the list was deleted since the last ones were read."""
        item = self._item
        query = (
            select(item.document)
            .where(item.list_id == list_id, item.position >= first, item.position < end)
            .order_by(item.position)
        )
        exists = select(self._list.id).where(self._list.id == list_id)

        def work(session: Session) -> Sequence[str] | None:
            stored = session.scalars(query).all()
            # Afterwards: with READ COMMITTED, it could be deleted between the two statements.
            return None if session.scalar(exists) is None else stored

        stored = self._database.transaction(work)
        return None if stored is None else [DocumentRef.of(json.loads(each)) for each in stored]


def _all(session: Session, query: Select[Any]) -> Sequence[Row[Any]]:
    return session.execute(query).all()


def _values(list_id: int, position: int, ref: DocumentRef) -> dict[str, Any]:
    # JSON escapes the characters that databases refuse or change.
    document = {name: value for name, value in ref.as_dict().items() if value is not None}
    return {
        "list_id": list_id,
        "position": position,
        "version_key": ref.version_key,
        "document": json.dumps(document),
    }
