"""Constraints of the tables of lists."""

from __future__ import annotations

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.store.names import Names
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentListRow, ListItemRow, rows_of

#: PostgreSQL cuts longer identifiers.
LONGEST = 63


def test_items_are_deleted_with_their_list(store: Store) -> None:
    moment = {"created_at": func.now(), "expires_at": func.now()}
    with Session(store.database.engine) as session, session.begin():
        for number in (1, 2):
            values = {"id": number, "list_key": str(number), "origin": ""} | moment
            session.execute(insert(DocumentListRow).values(values))
            item = {"list_id": number, "position": 0, "version_key": "v", "document": "{}"}
            session.execute(insert(ListItemRow).values(item))
        session.execute(text("DELETE FROM ocr_document_lists WHERE id = 1"))
        assert session.scalars(select(ListItemRow.list_id)).all() == [2]


def test_names_with_the_longest_prefix_are_not_cut() -> None:
    rows = rows_of(Names(prefix="p" * 20))
    for table in (rows.document_list.__table__, rows.list_item.__table__):
        for each in (*table.constraints, *table.indexes):
            assert len(str(each.name)) <= LONGEST
