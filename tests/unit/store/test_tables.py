"""Constraints of the tables."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import DocumentStatus, PageStatus
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import PROCESSING, Base, DocumentRow, PageRow, RegionRow
from tests.support.fixtures.stored_documents import CONFIG, TASK, page, read


def test_pages_and_regions_are_deleted_with_their_document(store: Store) -> None:
    read(Ledger(store.database, CONFIG, TASK), page(1), page(2))
    with Session(store.database.engine) as session, session.begin():
        session.execute(delete(DocumentRow))
        for table in (PageRow, RegionRow):
            assert session.scalar(select(func.count()).select_from(table)) == 0


@pytest.mark.parametrize(
    "change",
    [update(PageRow).values(page_number=1), update(RegionRow).values(position=0)],
)
def test_pages_and_regions_are_unique(change: Any, store: Store) -> None:
    read(Ledger(store.database, CONFIG, TASK), page(1), page(2))
    with (
        pytest.raises(IntegrityError),
        Session(store.database.engine) as session,
        session.begin(),
    ):
        session.execute(change)


def test_every_status_fits_its_column() -> None:
    for table, statuses in (
        ("ocr_documents", [*DocumentStatus, PROCESSING]),
        ("ocr_pages", [*PageStatus]),
    ):
        length = Base.metadata.tables[table].c.status.type.length  # type: ignore[attr-defined]
        assert max(map(len, statuses)) <= length
