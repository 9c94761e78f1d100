"""The database's clock in each database's SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.results_store import Store


@pytest.mark.parametrize(
    ("dialect", "function"),
    [
        (postgresql.dialect(), "clock_timestamp()"),
        (mysql.dialect(), "UTC_TIMESTAMP(6)"),
        (sqlite.dialect(), "strftime('%Y-%m-%d %H:%M:%f000'"),
    ],
)
def test_each_database_is_asked_for_its_current_time(dialect: Any, function: str) -> None:
    compiled = DatabaseTime(timedelta(seconds=-1.5)).compile(dialect=dialect)
    assert function in str(compiled).replace("%%", "%")
    assert list(compiled.params.values()) == [-1.5]


def test_an_offset_is_added(store: Store) -> None:
    def work(session: Any) -> Any:
        return session.execute(select(DatabaseTime(), DatabaseTime(timedelta(minutes=-2)))).one()

    now, before = store.database.transaction(work)
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
    assert abs(now - before - timedelta(minutes=2)) < timedelta(seconds=1)
