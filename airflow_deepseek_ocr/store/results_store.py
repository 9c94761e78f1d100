"""The results database: what has been read is a row, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, Row, select

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.database import PATIENCE_S, Database
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.ledger import GONE
from airflow_deepseek_ocr.store.migrate import upgrade
from airflow_deepseek_ocr.store.tables import PROCESSING, DocumentRow

#: Keys looked up in one statement; SQLite takes at most 999 parameters in its oldest builds.
_LOOKUP_CHUNK = 500

#: Columns that say whether a document is due.
_STATE = (
    DatabaseTime().label("now"),
    DocumentRow.status,
    DocumentRow.retryable,
    DocumentRow.error_code,
    DocumentRow.updated_at,
    DocumentRow.lease_expires_at,
)
#: Columns that make a reference.
_REFERENCE = (
    DocumentRow.uri,
    DocumentRow.version,
    DocumentRow.etag,
    DocumentRow.size_bytes,
    DocumentRow.last_modified,
)


class Store:
    """The tables behind an SQLAlchemy engine, and what they say of documents.

    :param engine: of PostgreSQL, MySQL/MariaDB or SQLite; the store disposes of it in
        :meth:`close`.
    :param patience_s: seconds for which a server may be away before a transaction gives up.
    :ivar database: runs transactions.
    """

    def __init__(self, engine: Engine, patience_s: float = PATIENCE_S) -> None:
        self.database = Database(engine, patience_s)

    def ensure_schema(self) -> None:
        """Create the tables or bring them to this version's form.

        :raises UnavailableError: ``database_unavailable``; ``database_newer`` if the tables were
            made by a newer version of this package.
        """
        with self.database.clear_errors():
            upgrade(self.database.engine)

    def look_up(
        self,
        refs: Sequence[DocumentRef],
        config_key: str | None = None,
        retry_failed_after: timedelta | None = None,
    ) -> dict[str, float | None]:
        """What is known of these document versions, by version key; nothing of those without a row.

        The value is None where nothing is to be done: the version was read, or is being read. Else it
        is for how many seconds it has been due again: its task died, or its failure was not its own.

        :param refs: documents with their versions.
        :param config_key: count only rows of that recipe; None counts any.
        :param retry_failed_after: when a version is due again whose failure was not its own, or that
            was gone and is there again; None for never.
        :raises UnavailableError: ``database_unavailable``.
        """
        keys = [ref.version_key for ref in refs]
        known: dict[str, float | None] = {}
        for start in range(0, len(keys), _LOOKUP_CHUNK):
            some = DocumentRow.version_key.in_(keys[start : start + _LOOKUP_CHUNK])
            for row in self._rows((DocumentRow.version_key,), some, config_key):
                due = _due_for(row, retry_failed_after)
                # Of several recipes, one that is through with it is enough.
                if known.get(row.version_key, due) is not None:
                    known[row.version_key] = due
                else:
                    known[row.version_key] = None
        return known

    def abandoned(self, config_key: str | None = None) -> list[tuple[DocumentRef, float]]:
        """Documents whose task died, and for how many seconds they have been due.

        The cost follows their number and that of the documents being read, not the table's size.

        :param config_key: only those of that recipe; None takes any.
        :raises UnavailableError: ``database_unavailable``.
        """
        rows = self._rows(_REFERENCE, DocumentRow.status == PROCESSING, config_key)
        due = ((row, _due_for(row, None)) for row in rows)
        return [(_reference(row), seconds) for row, seconds in due if seconds is not None]

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def _rows(
        self, columns: Sequence[Any], condition: Any, config_key: str | None
    ) -> Sequence[Row[Any]]:
        query = select(*_STATE, *columns).where(condition)
        if config_key is not None:
            query = query.where(DocumentRow.config_key == config_key)
        return self.database.transaction(lambda session: session.execute(query).all())


def _due_for(row: Row[Any], retry_failed_after: timedelta | None) -> float | None:
    if row.lease_expires_at is not None:
        since = row.lease_expires_at
    elif row.status == PROCESSING:
        since = row.updated_at
    elif retry_failed_after is not None and (row.retryable or row.error_code in GONE):
        since = row.updated_at + retry_failed_after
    else:
        return None
    seconds: float = (row.now - since).total_seconds()
    return seconds if seconds >= 0 else None


def _reference(row: Row[Any]) -> DocumentRef:
    version_id = row.version if row.etag and row.version != row.etag else None
    return DocumentRef(
        row.uri, row.version, version_id, row.etag, row.size_bytes, row.last_modified
    )
