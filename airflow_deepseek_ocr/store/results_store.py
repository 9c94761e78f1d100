"""The results database: the states of document versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from sqlalchemy import Engine, Row, select

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.attachments import (
    REFERENCE,
    is_retryable_attachment,
    reference_of,
)
from airflow_deepseek_ocr.store.database import PATIENCE_S, Database
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.leases import GONE
from airflow_deepseek_ocr.store.migrate import read_schema, upgrade
from airflow_deepseek_ocr.store.names import Names
from airflow_deepseek_ocr.store.tables import PROCESSING

#: Keys looked up in one statement; SQLite takes at most 999 parameters in its oldest builds.
_LOOKUP_CHUNK = 500
#: Claims after which a document that fails again and again is not due any more. The pause grows by
#: ``retry_failed_after`` with each claim: with an hour, the last retry is due after 12 days.
MAX_CLAIMS = 24

#: Columns from which the state follows.
_STATE = ("status", "retryable", "error_code", "claims", "updated_at", "lease_expires_at")


class State(Enum):
    """Whether a known version needs work."""

    DONE = "done"  #: it is final, or it failed and its retry is not due yet
    RUNNING = "running"  #: a task has its lease
    DUE = "due"  #: its task died, or the retry of its failure is due


@dataclass(frozen=True)
class KnownVersion:
    """The state of a document version that has a row.

    :param state: whether it needs work.
    :param due_for_s: seconds since it became due; 0 in every other state.
    :param archived: it failed because the storage had archived it.
    """

    state: State
    due_for_s: float = 0.0
    archived: bool = False


class Store:
    """The tables behind an SQLAlchemy engine, and the states of documents in them.

    :param engine: of PostgreSQL, MySQL/MariaDB or SQLite; :meth:`close` disposes of it.
    :param patience_s: seconds of outage after which a transaction fails.
    :param names: the names of the tables.
    :ivar database: runs transactions.
    :raises ConfigurationError: ``database_schema``.
    """

    def __init__(
        self, engine: Engine, patience_s: float = PATIENCE_S, names: Names | None = None
    ) -> None:
        self.database = Database(engine, patience_s, names)

    def ensure_schema(self, *, migrate: bool = True) -> None:
        """Create or migrate the tables.

        :param migrate: False to change nothing, and to raise if there is anything to change.
        :raises DatabaseError: ``database_unavailable``; ``database_locked``; ``database_rights``;
            ``database_newer`` if a newer version of this package made the tables, and this one cannot use
            them; ``database_outdated``.
        """
        with self.database.clear_errors():
            if migrate:
                upgrade(self.database.engine, self.database.names)
            else:
                read_schema(self.database.engine, self.database.names).require_usable()

    def look_up(
        self,
        refs: Sequence[DocumentRef],
        config_key: str | None = None,
        retry_failed_after: timedelta | None = None,
    ) -> dict[str, KnownVersion]:
        """Return the state of each known version, by version key; versions without a row are missing.

        :param refs: documents with their versions.
        :param config_key: count only rows of this processing configuration; None counts all.
        :param retry_failed_after: time after which a retryable failure, or a version that was gone, is
            due again, multiplied by the claims of the row, of which there are at most ``MAX_CLAIMS``; None
            for never.
        :raises DatabaseError: ``database_unavailable``.
        """
        keys = [ref.version_key for ref in refs]
        known: dict[str, KnownVersion] = {}
        for start in range(0, len(keys), _LOOKUP_CHUNK):
            chunk = self.database.rows.document.version_key.in_(keys[start : start + _LOOKUP_CHUNK])
            for row in self._rows(("version_key",), chunk, config_key):
                found = _known_version(row, retry_failed_after)
                before = known.get(row.version_key)
                # Of several configurations, one that needs no work decides.
                if before is None or before.state is State.DUE:
                    known[row.version_key] = found
        return known

    def abandoned(
        self, config_key: str | None = None, retry_failed_after: timedelta | None = None
    ) -> list[tuple[DocumentRef, float]]:
        """Return documents whose task died, with the seconds since they became due.

        Attached files that failed are among them when their retry is due, since no listing has them. The
        query's cost grows with the number of documents that are processed or failed, not with the table.

        :param config_key: only rows of this processing configuration; None takes all.
        :param retry_failed_after: see :meth:`look_up`.
        :raises DatabaseError: ``database_unavailable``.
        """
        document = self.database.rows.document
        condition = document.status == PROCESSING
        if retry_failed_after is not None:
            condition |= is_retryable_attachment(document)
        rows = self._rows((*REFERENCE, "version_key"), condition, config_key)
        found = [(row, reference_of(row), _known_version(row, retry_failed_after)) for row in rows]
        return [
            (ref, known.due_for_s)
            for row, ref, known in found
            # A URI with characters that databases refuse is stored as another one. A listing finds its
            # document; the stored URI would name none, in each listing again.
            if known.state is State.DUE and ref.version_key == row.version_key
        ]

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def _rows(
        self, columns: Sequence[str], condition: Any, config_key: str | None
    ) -> Sequence[Row[Any]]:
        document = self.database.rows.document
        found = (getattr(document, name) for name in (*_STATE, *columns))
        query = select(DatabaseTime().label("now"), *found).where(condition)
        if config_key is not None:
            query = query.where(document.config_key == config_key)
        return self.database.transaction(lambda session: session.execute(query).all())


def _known_version(row: Row[Any], retry_failed_after: timedelta | None) -> KnownVersion:
    if row.lease_expires_at is not None:
        otherwise, since = State.RUNNING, row.lease_expires_at
    elif row.status == PROCESSING:
        otherwise, since = State.RUNNING, row.updated_at
    elif (
        retry_failed_after is not None
        and (row.retryable or row.error_code in GONE)
        and row.claims < MAX_CLAIMS
    ):
        otherwise, since = State.DONE, row.updated_at + retry_failed_after * max(row.claims, 1)
    else:
        return KnownVersion(State.DONE, archived=row.error_code == ErrorCode.ARCHIVED)
    due_for_s = (row.now - since).total_seconds()
    return KnownVersion(State.DUE, due_for_s) if due_for_s >= 0 else KnownVersion(otherwise)
