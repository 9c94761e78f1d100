"""The database's clock, the only one that all hosts share."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from airflow_deepseek_ocr.store.column_types import UtcDateTime

_SECOND = timedelta(seconds=1)


class DatabaseTime(FunctionElement[datetime]):
    """The time at which the statement runs, by the database's clock.

    :param offset: added to it; negative for the past.
    """

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        super().__init__(literal(offset / _SECOND))


@compiles(DatabaseTime, "postgresql")
def _postgresql(element: DatabaseTime, compiler: Any, **options: Any) -> str:
    # now() is the transaction's start, and the transaction may have waited for a lock.
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


@compiles(DatabaseTime, "mysql", "mariadb")
def _mysql(element: DatabaseTime, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(UTC_TIMESTAMP(6) + INTERVAL ({seconds}) * 1000000 MICROSECOND)"


@compiles(DatabaseTime, "sqlite")
def _sqlite(element: DatabaseTime, compiler: Any, **options: Any) -> str:
    # Milliseconds, written with six digits: SQLAlchemy stores times so, and SQLite compares them as text.
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', ({seconds}) || ' seconds')"
