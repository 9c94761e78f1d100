"""Times keep their microseconds and their zone on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite

from airflow_deepseek_ocr.store.column_types import LongText, RowId, UtcDateTime

MOMENT = datetime(2026, 3, 1, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("dialect", "bound"),
    [
        (postgresql.dialect(), datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        (sqlite.dialect(), datetime(2026, 3, 1, 12, 0, 0, 123456)),
        (mysql.dialect(), datetime(2026, 3, 1, 12, 0, 0, 123456)),
    ],
)
def test_times_are_bound_as_utc(dialect: Any, bound: datetime) -> None:
    column = UtcDateTime()
    assert column.process_bind_param(MOMENT, dialect) == bound
    result = column.process_result_value(bound, dialect)
    assert result == MOMENT
    assert result is not None
    assert result.tzinfo is UTC


def test_no_time_stays_none() -> None:
    column = UtcDateTime()
    assert column.process_bind_param(None, sqlite.dialect()) is None
    assert column.process_result_value(None, sqlite.dialect()) is None


@pytest.mark.parametrize(
    ("column", "dialect", "expected"),
    [
        (UtcDateTime(), mysql.dialect(), "DATETIME(6)"),
        (UtcDateTime(), postgresql.dialect(), "TIMESTAMP WITH TIME ZONE"),
        (LongText, mysql.dialect(), "LONGTEXT"),
        (LongText, postgresql.dialect(), "TEXT"),
        (RowId, sqlite.dialect(), "INTEGER"),
        (RowId, postgresql.dialect(), "BIGINT"),
    ],
)
def test_types_by_database(column: Any, dialect: Any, expected: str) -> None:
    assert column.compile(dialect=dialect) == expected
