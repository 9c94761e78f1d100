"""The tables of a page."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.browsing import tables
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import PageRow, TableCellRow, TableRow
from tests.support.fixtures.stored_documents import CONFIG, TASK, page, read


def test_tables_in_order_with_their_cells(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read(Ledger(store.database, CONFIG, TASK), page(1))
    with Session(store.database.engine) as session, session.begin():
        number = session.scalars(select(PageRow.id)).one()
        for position in (1, 0):
            values = {"page_id": number, "position": position, "row_count": 1, "column_count": 2}
            table_id = session.scalar(insert(TableRow).values(**values).returning(TableRow.id))
            for column in (1, 0):
                cell = {"table_id": table_id, "row_index": 0, "column_index": column}
                session.execute(insert(TableCellRow).values(**cell, text=f"{position} {column}"))
    with Session(store.database.engine) as session:
        rows = store.database.rows
        found = tables.of_page(session, rows, number)
        assert [[cell["text"] for cell in each["cells"]] for each in found] == [
            ["0 0", "0 1"],
            ["1 0", "1 1"],
        ]
        assert tables.of_page(session, rows, number + 1) == []
        monkeypatch.setattr(tables, "MAX_CELLS", 3)
        assert sum(len(each["cells"]) for each in tables.of_page(session, rows, number)) == 3
