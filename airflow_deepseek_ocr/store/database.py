"""Transactions that outlast conflicts and short outages, on all three databases."""

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

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError

#: Seconds for which a server may be away (a restart, a failover) before a transaction gives up.
PATIENCE_S = 60.0
#: Tries of a transaction that lost against another one (deadlock, same new row).
_TRIES = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
#: A task that is stopped inside a transaction would keep others from the rows it has locked.
_IDLE_TRANSACTION_S = 30
#: PostgreSQL's SQLSTATE disk_full; MySQL's and MariaDB's ER_DISK_FULL and ER_RECORD_FILE_FULL.
_DISK_FULL, _MYSQL_FULL = "53100", (1021, 1114)

_T = TypeVar("_T")


class Database:
    """Runs transactions through an SQLAlchemy engine.

    :param engine: of PostgreSQL, MySQL/MariaDB or SQLite; disposed of by :meth:`close`.
    :param patience_s: seconds for which a server may be away before a transaction gives up.
    """

    def __init__(self, engine: Engine, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._is_file = engine.dialect.name == "sqlite"
        if self._is_file:
            _prepare_sqlite(engine)
        elif engine.dialect.name == "postgresql":
            _prepare_postgresql(engine)
        else:
            _prepare_mysql(engine)
            # Without locks on rows that do not exist, over which new rows would deadlock.
            engine = engine.execution_options(isolation_level="READ COMMITTED")
        self.engine = engine
        # What SQLAlchemy does not wrap: errors while a new connection is prepared.
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error

    def transaction(self, work: Callable[[Session], _T], *, patient: bool = True) -> _T:
        """Run ``work`` in one transaction, again if another was in its way or the server was away.

        :param work: may run several times, also after it was committed: the answer to a commit can
            be lost with the connection.
        :param patient: False to give up at the first error.
        :raises UnavailableError: ``database_unavailable``, ``database_full``.
        """
        deadline = time.monotonic() + self._patience_s
        tries, pause = 1, _FIRST_PAUSE_S
        with self.clear_errors():
            while True:
                try:
                    with Session(self.engine) as session, session.begin():
                        return work(session)
                except (DBAPIError, self._driver_error) as error:
                    again = tries < _TRIES or (
                        not self._is_file
                        and not isinstance(error, IntegrityError)
                        and time.monotonic() < deadline
                    )
                    if not (patient and again and _may_pass(error)):
                        raise
                time.sleep(pause)
                tries, pause = tries + 1, min(2 * pause, _LONGEST_PAUSE_S)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def clear_errors(self) -> Iterator[None]:
        """The database's errors as ours, without values and passwords.

        :raises UnavailableError: ``database_unavailable``, ``database_full``.
        """
        try:
            yield
        except (SQLAlchemyError, self._driver_error) as error:
            url = self.engine.url.render_as_string(hide_password=True)
            cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
            if _is_full(cause):
                raise UnavailableError(
                    ErrorCode.DATABASE_FULL,
                    f"The results database {url} has no space left ({type(cause).__name__}: {cause}). "
                    "Free disk space where its data is, and try again: what is stored stays.",
                ) from None
            raise UnavailableError(
                ErrorCode.DATABASE_UNAVAILABLE,
                f"The results database {url} does not answer as expected: "
                f"{type(cause).__name__}: {cause}. Check the connection and that its user may create "
                "and change tables.",
            ) from None


def _is_full(error: BaseException) -> bool:
    """Whether the disk below the database is full, in any driver's words."""
    return (
        _DISK_FULL in (getattr(error, "sqlstate", None), getattr(error, "pgcode", None))
        or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or error.args[:1] in [(number,) for number in _MYSQL_FULL]
    )


def _may_pass(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return True
    return error.connection_invalidated or isinstance(
        error, (IntegrityError, OperationalError, InterfaceError)
    )


def _prepare_sqlite(engine: Engine) -> None:
    """Real transactions and waiting instead of failing, which SQLite's driver leaves off."""

    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA busy_timeout = 30000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection) -> None:  # type: ignore[no-untyped-def]
        # Taking the write lock at once: two readers that both want to write later would deadlock.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_TRANSACTION_S}s'")
        connection.commit()


def _prepare_mysql(engine: Engine) -> None:
    """All of Unicode, also where the driver's default is Latin-1."""

    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
        if hasattr(connection, "set_character_set"):
            connection.set_character_set("utf8mb4")
        with connection.cursor() as cursor:
            # MariaDB has it since 10.3; MySQL has none, there a lock is waited for at most 50 s.
            cursor.execute("SELECT VERSION()")
            if "MariaDB" in str(cursor.fetchone()[0]):
                cursor.execute(f"SET SESSION idle_transaction_timeout = {_IDLE_TRANSACTION_S}")
