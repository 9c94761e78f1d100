"""Connections that only read, and whose statements end after a time: for programs that show results."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event

#: PostgreSQL's SQLSTATE query_canceled; MySQL's ER_QUERY_TIMEOUT, MariaDB's ER_STATEMENT_TIMEOUT.
_CANCELLED, _MYSQL_TIMEOUTS = "57014", (3024, 1969)
#: Steps of SQLite's virtual machine between two checks of the clock; some tens of microseconds.
_SQLITE_STEPS = 20_000


def prepare(engine: Engine, statement_timeout_s: float) -> None:
    """Make each new connection of an engine read only, with a time-out for each statement.

    :param engine: of PostgreSQL, MySQL/MariaDB or SQLite.
    :param statement_timeout_s: seconds.
    """
    milliseconds = int(statement_timeout_s * 1000)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, statement_timeout_s)
    elif engine.dialect.name == "postgresql":
        _at_connect(
            engine,
            lambda _: [
                "SET default_transaction_read_only = on",
                f"SET statement_timeout = {milliseconds}",
                f"SET idle_in_transaction_session_timeout = {2 * milliseconds}",
            ],
        )
    else:
        _at_connect(
            engine,
            lambda version: [
                "SET SESSION TRANSACTION READ ONLY",
                # MariaDB has seconds, MySQL milliseconds for SELECT.
                f"SET SESSION max_statement_time = {statement_timeout_s}"
                if "MariaDB" in version
                else f"SET SESSION max_execution_time = {milliseconds}",
            ],
        )


def is_timeout(error: BaseException) -> bool:
    """Return whether any driver's error means that a statement took longer than its time-out."""
    return (
        _CANCELLED in (getattr(error, "sqlstate", None), getattr(error, "pgcode", None))
        or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
        or error.args[:1] in [(number,) for number in _MYSQL_TIMEOUTS]
    )


def _at_connect(engine: Engine, statements: Callable[[str], list[str]]) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
        if hasattr(connection, "set_character_set"):
            connection.set_character_set("utf8mb4")
        with connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            for statement in statements(str(cursor.fetchone()[0])):
                cursor.execute(statement)
        connection.commit()


def _prepare_sqlite(engine: Engine, statement_timeout_s: float) -> None:
    deadlines: dict[int, float] = {}

    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
        cursor = connection.cursor()
        cursor.execute("PRAGMA query_only = ON")
        cursor.execute(f"PRAGMA busy_timeout = {int(statement_timeout_s * 1000)}")
        cursor.close()
        number = id(connection)

        def is_late() -> bool:
            return time.monotonic() > deadlines.get(number, float("inf"))

        connection.set_progress_handler(is_late, _SQLITE_STEPS)

    @event.listens_for(engine, "close")
    def close(connection, _record) -> None:  # type: ignore[no-untyped-def]
        deadlines.pop(id(connection), None)

    @event.listens_for(engine, "before_cursor_execute")
    def execute(opened: Any, *_: Any) -> None:
        deadlines[id(opened.connection.dbapi_connection)] = time.monotonic() + statement_timeout_s
