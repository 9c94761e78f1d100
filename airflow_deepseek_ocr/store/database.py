"""Transactions that are retried after conflicts and short outages, on all databases."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Engine, event
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.browsing import read_only
from airflow_deepseek_ocr.store.names import Names
from airflow_deepseek_ocr.store.outage import Outage
from airflow_deepseek_ocr.store.tables import Rows, rows_of

#: Seconds of outage (a restart, a failover) after which a transaction fails.
PATIENCE_S = 60.0
#: Tries of a transaction that conflicts with others (a deadlock, the same new row).
_TRIES = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
#: Seconds after which the server ends an idle transaction: a task that is stopped inside one keeps its locks.
_IDLE_TRANSACTION_S = 30
#: Seconds that a task waits for another one that writes to the same file of SQLite.
_SQLITE_LOCK_WAIT_S = 30
#: PostgreSQL's SQLSTATE disk_full; MySQL's and MariaDB's ER_DISK_FULL and ER_RECORD_FILE_FULL.
_DISK_FULL, _MYSQL_FULL = "53100", (1021, 1114)
#: PostgreSQL's SQLSTATE lock_not_available; MySQL's and MariaDB's ER_LOCK_WAIT_TIMEOUT.
_LOCKED, _MYSQL_LOCKED = "55P03", (1205,)
#: PostgreSQL's SQLSTATE insufficient_privilege; MySQL's and MariaDB's ER_DBACCESS_DENIED_ERROR,
#: ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR.
_NO_RIGHT, _MYSQL_NO_RIGHT = "42501", (1044, 1142, 1143)

#: Execution option of connections whose transaction only reads.
_READS = "deepseek_ocr_reads"

_T = TypeVar("_T")


class Database:
    """Runs transactions through an SQLAlchemy engine.

    :param engine: of PostgreSQL, MySQL/MariaDB or SQLite; disposed of by :meth:`close`.
    :param patience_s: seconds of outage after which a transaction fails.
    :param names: the names of the tables.
    :param read_only_s: make connections read only, and end their statements after so many seconds; None for
        connections that write.
    :param lock_wait_s: fail after so many seconds of waiting for rows that another transaction has locked,
        for callers that people wait for; None waits as long as the database does.
    :ivar outage: says in the log that the database is away, and that it is back.
    :raises ConfigurationError: ``database_schema``.
    """

    def __init__(
        self,
        engine: Engine,
        patience_s: float = PATIENCE_S,
        names: Names | None = None,
        *,
        read_only_s: float | None = None,
        lock_wait_s: float | None = None,
    ) -> None:
        self.names = names or Names()
        self.names.require_possible(engine.dialect.name)
        self._patience_s, self._lock_wait_s = patience_s, lock_wait_s
        self.outage = Outage(patience_s)
        self._is_file = engine.dialect.name == "sqlite"
        if read_only_s is not None:
            read_only.prepare(engine, read_only_s)
        elif self._is_file:
            _prepare_sqlite(engine, lock_wait_s)
        elif engine.dialect.name == "postgresql":
            _prepare_postgresql(engine, lock_wait_s)
        else:
            _prepare_mysql(engine, lock_wait_s)
            # REPEATABLE READ locks gaps between rows, over which inserts deadlock.
            engine = engine.execution_options(isolation_level="READ COMMITTED")
        self.engine = engine
        self._reader = engine.execution_options(**{_READS: True})
        # SQLAlchemy does not wrap errors raised while a new connection is prepared.
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error

    @property
    def rows(self) -> Rows:
        """The mapped classes of the tables."""
        return rows_of(self.names)

    def transaction(
        self, work: Callable[[Session], _T], *, patient: bool = True, reads: bool = False
    ) -> _T:
        """Run ``work`` in one transaction, and repeat it after a conflict or an outage.

        :param work: may run several times, even after a commit whose answer was lost with the
            connection.
        :param patient: False to fail at the first error.
        :param reads: whether it only reads, and so waits for no other one that reads.
        :raises DatabaseError: ``database_unavailable``, ``database_full``; ``database_busy`` with a limit of
            waiting for locks.
        """
        deadline = time.monotonic() + self._patience_s
        engine = self._reader if reads else self.engine
        tries, pause = 1, _FIRST_PAUSE_S
        with self.clear_errors():
            while True:
                try:
                    with Session(engine) as session, session.begin():
                        result = work(session)
                    self.outage.ended()
                    return result
                except (DBAPIError, self._driver_error) as error:
                    again = tries < _TRIES or (
                        not self._is_file
                        and not isinstance(error, IntegrityError)
                        and time.monotonic() < deadline
                    )
                    cause = getattr(error, "orig", None) or error
                    may_pass = _may_pass(error) and not self._waited_for_lock(cause)
                    if may_pass and not isinstance(error, IntegrityError):
                        self.outage.failed(cause, patient=patient)
                    if not (patient and again and may_pass):
                        raise
                time.sleep(pause)
                tries, pause = tries + 1, min(2 * pause, _LONGEST_PAUSE_S)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def clear_errors(self) -> Iterator[None]:
        """Convert the database's errors to :class:`DatabaseError`, without values and passwords.

        :raises DatabaseError: ``database_unavailable``, ``database_full``, ``database_rights``,
            ``database_slow``, ``database_busy``.
        """
        try:
            yield
        except (SQLAlchemyError, self._driver_error) as error:
            url = self.engine.url.render_as_string(hide_password=True)
            cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
            if _is_full(cause):
                raise DatabaseError(
                    ErrorCode.DATABASE_FULL,
                    f"The results database {url} has no space left ({type(cause).__name__}: {cause}). "
                    "Free disk space on its host, and try again; stored rows are kept.",
                ) from None
            if is_refused(cause):
                raise DatabaseError(
                    ErrorCode.DATABASE_RIGHTS,
                    f"The user of the results database {url} lacks a right "
                    f"({type(cause).__name__}: {cause}). It needs SELECT, INSERT, UPDATE and DELETE on "
                    f"the tables {self.names.table('ocr_')}*, and to migrate them CREATE, CREATE VIEW, ALTER "
                    "and INDEX or their ownership. Grant these, or run airflow-deepseek-ocr db upgrade as a "
                    "user who has them, or have the output of airflow-deepseek-ocr db sql run by one.",
                ) from None
            if read_only.is_timeout(cause):
                raise DatabaseError(
                    ErrorCode.DATABASE_SLOW,
                    "The results database took too long for a query, which was ended. Narrow the search, for "
                    "example to a DAG or to some days, or try again when the database is less busy.",
                ) from None
            if self._waited_for_lock(cause):
                raise DatabaseError(
                    ErrorCode.DATABASE_BUSY,
                    f"Nothing was changed: for {self._lock_wait_s:g} s another transaction has been writing "
                    "the same document or, on SQLite, the same database, most often that of a task which "
                    "stores its pages. Try again in a few seconds.",
                ) from None
            raise DatabaseError(
                ErrorCode.DATABASE_UNAVAILABLE,
                f"The results database {url} failed: "
                f"{type(cause).__name__}: {cause}. Check the connection and the server.",
            ) from None

    def _waited_for_lock(self, error: BaseException) -> bool:
        return (
            self._lock_wait_s is not None
            and (
                _LOCKED in _sqlstates(error)
                # The low byte of an extended code is its primary code.
                or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                or error.args[:1] in [(number,) for number in _MYSQL_LOCKED]
            )
        )


def _is_full(error: BaseException) -> bool:
    """Return whether any driver's error means that the database's disk is full."""
    return (
        _DISK_FULL in _sqlstates(error)
        or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or error.args[:1] in [(number,) for number in _MYSQL_FULL]
    )


def is_refused(error: BaseException) -> bool:
    """Return whether any driver's error means that the database's user lacks a right."""
    return (
        _NO_RIGHT in _sqlstates(error)
        # The low byte of an extended code, such as SQLITE_READONLY_DIRECTORY, is its primary code.
        or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY
        or error.args[:1] in [(number,) for number in _MYSQL_NO_RIGHT]
    )


def _sqlstates(error: BaseException) -> tuple[str | None, str | None]:
    return getattr(error, "sqlstate", None), getattr(error, "pgcode", None)


def _may_pass(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return True
    if error.orig is not None and (is_refused(error.orig) or read_only.is_timeout(error.orig)):
        return False
    return error.connection_invalidated or isinstance(
        error, (IntegrityError, OperationalError, InterfaceError)
    )


def _prepare_sqlite(engine: Engine, lock_wait_s: float | None) -> None:
    """Turn on transactions, foreign keys and waiting for locks, which SQLite's driver leaves off."""
    wait_ms = int(1000 * (_SQLITE_LOCK_WAIT_S if lock_wait_s is None else lock_wait_s))

    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {wait_ms}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection) -> None:  # type: ignore[no-untyped-def]
        # Take the write lock first: two transactions that read and then write would deadlock.
        reads = connection.get_execution_options().get(_READS)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare_postgresql(engine: Engine, lock_wait_s: float | None) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_TRANSACTION_S}s'")
            if lock_wait_s is not None:
                cursor.execute(f"SET lock_timeout = {int(1000 * lock_wait_s)}")
        connection.commit()


def _prepare_mysql(engine: Engine, lock_wait_s: float | None) -> None:
    """Set utf8mb4, since a driver's default may be Latin-1, and the limit of idle transactions."""

    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
        if hasattr(connection, "set_character_set"):
            connection.set_character_set("utf8mb4")
        with connection.cursor() as cursor:
            # MariaDB 10.3 added the setting. MySQL has none; there a lock is waited for at most 50 s.
            cursor.execute("SELECT VERSION()")
            if "MariaDB" in str(cursor.fetchone()[0]):
                cursor.execute(f"SET SESSION idle_transaction_timeout = {_IDLE_TRANSACTION_S}")
            if lock_wait_s is not None:
                seconds = max(1, round(lock_wait_s))
                cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {seconds}")
                cursor.execute(f"SET SESSION lock_wait_timeout = {seconds}")
