"""Connections that only read."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.results_store import Store

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def test_nothing_can_be_written_and_queries_end(store: Store, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/results.db")
    with closing(Database(engine, patience_s=1, read_only_s=0.1)) as database:

        def run(statement: str) -> object:
            return database.transaction(
                lambda session: session.execute(text(statement)).all(), patient=False
            )

        with pytest.raises(DatabaseError) as refused:
            run("DELETE FROM ocr_pages")
        assert refused.value.code == ErrorCode.DATABASE_RIGHTS
        for _ in range(2):
            with pytest.raises(DatabaseError) as slow:
                run(ENDLESS)
            assert slow.value.code == ErrorCode.DATABASE_SLOW
            assert run("SELECT count(*) FROM ocr_pages") == [(0,)]
