"""Tables of pages as rows, on SQLite; tests/integration/databases/test_table_rows.py asks real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import PageStatus, Region
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.pages import table_rows
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import PageRow, TableCellRow, TableRow
from tests.support.fixtures.stored_documents import CONFIG, TASK, claim, page, read

INVOICE = (
    "<table><caption>Items</caption><tr><th>Item</th><th>Amount</th></tr>"
    '<tr><td>Bolts &amp; nuts</td><td>1,200.50</td></tr><tr><td colspan="2">paid</td></tr></table>'
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(create_engine(f"sqlite:///{tmp_path}/results.db"))) as opened:
        opened.ensure_schema()
        yield opened


def regions(*texts: str) -> dict[str, object]:
    return {"regions": tuple(Region("text", text) for text in texts)}


def tables(store: Store) -> list[tuple[object, ...]]:
    query = (
        select(
            PageRow.page_number,
            TableRow.position,
            TableRow.region_position,
            TableRow.row_count,
            TableRow.column_count,
            TableRow.caption,
            TableRow.is_ragged,
        )
        .join(PageRow, PageRow.id == TableRow.page_id)
        .order_by(PageRow.page_number, TableRow.position)
    )
    with Session(store.database.engine) as session:
        return [tuple(row) for row in session.execute(query)]


def test_tables_of_several_pages(store: Store) -> None:
    pipes = "|a|b|\n|-|-|\n|1|\n"
    read(
        Ledger(store.database, CONFIG, TASK),
        page(1, **regions("no table", INVOICE + pipes)),
        page(2),
        page(3, **regions(pipes, INVOICE)),
    )
    assert tables(store) == [
        (1, 0, 1, 3, 2, "Items", False),
        (1, 1, 1, 2, 2, None, True),
        (3, 0, 0, 2, 2, None, True),
        (3, 1, 1, 3, 2, "Items", False),
    ]
    with Session(store.database.engine) as session:
        columns = TableCellRow.__table__.c
        cells = session.execute(
            select(columns.row_index, columns.column_index, columns.column_span)
            .add_columns(columns.is_header, columns.text)
            .where(columns.table_id == 1)
            .order_by(columns.row_index, columns.column_index)
        ).all()
    assert [tuple(cell) for cell in cells] == [
        (0, 0, 1, True, "Item"),
        (0, 1, 1, True, "Amount"),
        (1, 0, 1, False, "Bolts & nuts"),
        (1, 1, 1, False, "1,200.50"),
        (2, 0, 2, False, "paid"),
    ]


def test_a_page_that_is_read_again_has_its_new_tables(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, TASK)
    lease = claim(ledger)
    ledger.write_page(lease, page(1, **regions(INVOICE)))
    ledger.write_page(lease, page(1, **regions("", "<table><tr><td>1</td></tr></table>")))
    assert tables(store) == [(1, 0, 1, 1, 1, None, False)]


def test_embedded_text_has_no_tables(store: Store) -> None:
    embedded = page(1, status=PageStatus.TEXT_LAYER, **regions(INVOICE))
    read(Ledger(store.database, CONFIG, TASK), embedded)
    assert tables(store) == []


def test_a_page_keeps_a_bounded_number_of_cells(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_rows, "MOST_CELLS", 7)
    monkeypatch.setattr(table_rows, "MOST_TABLES", 3)
    read(Ledger(store.database, CONFIG, TASK), page(1, **regions(INVOICE * 5)))
    with Session(store.database.engine) as session:
        assert session.scalars(select(TableRow.is_truncated)).all() == [False, True, True]
        assert len(session.scalars(select(TableCellRow.text)).all()) == 7
