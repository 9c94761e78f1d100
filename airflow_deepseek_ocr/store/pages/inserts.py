"""Inserts of many rows, in statements that the server reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode

#: Rows inserted in one statement, and ids in one list: SQLite takes 32,766 values, PostgreSQL 65,535.
CHUNK = 500
#: Bytes of a statement besides its values.
_STATEMENT_BYTES = 16 << 10
#: Characters that MySQL's drivers write as two.
_ESCAPED = "\0'\"\b\n\r\t\x1a\\"


class UnstorableError(DocumentError):
    """The database does not take a page's data."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            ErrorCode.UNSTORABLE,
            f"The results database does not take this page's output: {reason}. Its text is not stored.",
        )


class Inserts:
    """Inserts rows in a transaction.

    :param session: of the transaction.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._longest = _longest_statement(session)

    def with_ids(self, table: Any, values: Sequence[dict[str, Any]], **computed: Any) -> list[int]:
        """Insert rows, and return their ids in the same order.

        :param table: a mapped class with a column ``id``.
        :param computed: columns whose values the database computes, the same for all rows.
        :raises UnstorableError: ``unstorable``; a row is longer than the server reads.
        """
        inserted = insert(table.__table__).values(**computed)
        dialect = self._session.get_bind().dialect
        if len(values) > 1 and self._longest is None and dialect.insert_executemany_returning:
            returning = inserted.returning(table.id, sort_by_parameter_order=True)
            return list(self._session.scalars(returning, list(values)))
        ids = []
        for each in values:
            # One by one, as the server limits the length of a statement.
            self._require_short([each])
            # As parameters: values of the statement would be part of its key in SQLAlchemy's cache.
            key = self._session.execute(inserted, each).inserted_primary_key  # type: ignore[attr-defined]
            ids.append(int(key[0]))
        return ids

    def many(self, table: Any, values: Sequence[dict[str, Any]], **computed: Any) -> None:
        """Insert rows whose ids do not matter.

        :param computed: see :meth:`with_ids`.
        :raises UnstorableError: ``unstorable``; rows are longer than the server reads.
        """
        inserted = insert(table.__table__).values(**computed)
        for start in range(0, len(values), CHUNK):
            chunk = values[start : start + CHUNK]
            self._require_short(chunk)
            self._session.execute(inserted, chunk)

    def _require_short(self, rows: Iterable[Mapping[str, Any]]) -> None:
        if self._longest is None:
            return
        size = _STATEMENT_BYTES + sum(_size(value) for row in rows for value in row.values())
        if size > self._longest:
            raise UnstorableError(
                f"it takes {size:,} bytes, over the server's max_allowed_packet of {self._longest:,}"
            )


def _longest_statement(session: Session) -> int | None:
    """Return the most bytes of a statement that the server reads; None without a limit.

    MySQL and MariaDB close the connection at a longer one, which looks like an outage.
    """
    if session.get_bind().dialect.name not in ("mysql", "mariadb"):
        return None
    return int(session.scalar(text("SELECT @@max_allowed_packet")))


def _size(value: Any) -> int:
    if not isinstance(value, str):
        return 32
    return len(value.encode()) + sum(value.count(character) for character in _ESCAPED) + 2
