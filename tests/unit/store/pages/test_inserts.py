"""Inserts of many rows; tests/integration/databases/test_unstorable.py asks servers with a limit."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import Region
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.migrate import upgrade
from airflow_deepseek_ocr.store.pages import inserts as module
from airflow_deepseek_ocr.store.pages.inserts import Inserts, UnstorableError
from airflow_deepseek_ocr.store.row_values import page_values, region_values
from airflow_deepseek_ocr.store.tables import PageRow, RegionRow
from tests.support.fixtures.stored_documents import page


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade(engine)
    return engine


def test_ids_are_in_the_order_of_the_rows(engine: Engine) -> None:
    pages = [page_values(1, page(number)) for number in (3, 1, 2)]
    with Session(engine) as session:
        ids = Inserts(session).with_ids(PageRow, pages, created_at=DatabaseTime())
        stored = dict(session.execute(select(PageRow.page_number, PageRow.id)).all())  # type: ignore[arg-type]
        assert ids == [stored[3], stored[1], stored[2]]


def test_more_rows_than_a_statement_takes(engine: Engine) -> None:
    regions = [region_values(1, position, Region("text", "x")) for position in range(1_201)]
    with Session(engine) as session:
        Inserts(session).many(RegionRow, regions)
        assert len(session.scalars(select(RegionRow.id)).all()) == 1_201


def test_rows_longer_than_the_server_reads_are_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_longest_statement", lambda _: 20_000)
    with Session(engine) as session:
        inserts = Inserts(session)
        # Quotes are written as two characters.
        region = region_values(1, 0, Region("text", "'" * 2_000))
        with pytest.raises(
            UnstorableError, match=r"over the server's max_allowed_packet of 20,000"
        ):
            inserts.many(RegionRow, [region])
        inserts.many(RegionRow, [region_values(1, 0, Region("text", "x" * 2_000))])
