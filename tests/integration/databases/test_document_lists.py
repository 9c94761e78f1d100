"""Lists of documents on SQLite, PostgreSQL, MariaDB and MySQL, and beside older versions of the package."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.forget import forget
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.lists.document_lists import DocumentLists
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentListRow, DocumentRow, ListItemRow
from tests.support.fixtures.older_tables import downgrade
from tests.support.fixtures.stored_documents import CONFIG, TASK, page, read
from tests.support.fixtures.tables_0004 import Tables0004

HOSTILE = DocumentRef(
    "s3://b/ÄÖ \0\u202e\x1b[31m\n'\";--\U0001f600.pdf ",
    "V ",
    etag="V ",
    size=2**40,
    last_modified=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
)
SAME_IGNORING_CASE = DocumentRef("s3://b/äö \0\u202e\x1b[31m\n'\";--\U0001f600.pdf", "v")


def refs(count: int) -> list[DocumentRef]:
    return [DocumentRef(f"s3://b/{number}.pdf", "v1") for number in range(count)]


@pytest.fixture(autouse=True)
def empty(store: Store) -> None:
    with store.database.engine.begin() as connection:
        connection.execute(text("DELETE FROM ocr_document_lists"))


def rows(store: Store) -> tuple[int, int]:
    with Session(store.database.engine) as session:
        lists, items = (
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (DocumentListRow, ListItemRow)
        )
    return lists, items


def test_documents_come_back_as_they_were_and_expire(store: Store) -> None:
    lists = DocumentLists(store.database)
    documents = [HOSTILE, *refs(6_000), SAME_IGNORING_CASE]
    whole = lists.write(documents, "s3://b/ä\0")
    assert list(lists.read(whole)) == documents
    assert list(lists.read(ListSlice(whole.key, 4_999, 3))) == documents[4_999:5_002]
    assert lists.delete_expired() == 0
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE ocr_document_lists SET expires_at = '2026-01-01 00:00:00'"))
    assert lists.delete_expired() == 1
    assert rows(store) == (0, 0)
    with pytest.raises(ConfigurationError) as caught:
        list(lists.read(whole))
    assert caught.value.code is ErrorCode.DOCUMENT_LIST


def test_forgetting_compares_whole_versions(store: Store) -> None:
    lists = DocumentLists(store.database)
    whole = lists.write([HOSTILE, SAME_IGNORING_CASE], "")
    read(Ledger(store.database, CONFIG, TASK), page(1), ref=SAME_IGNORING_CASE)
    with Session(store.database.engine) as session:
        key = session.scalars(select(DocumentRow.document_key)).one()
    forget(store.database, key)
    assert list(lists.read(whole)) == [HOSTILE]


def test_older_versions_work_beside_lists_and_leave_them(store: Store) -> None:
    lists = DocumentLists(store.database)
    whole = lists.write(refs(2), "")
    older = Tables0004(store.database.engine)
    older.forget(older.read(refs(1)[0], CONFIG, pages=1))
    assert list(lists.read(whole)) == refs(2)


def test_a_list_of_before_a_downgrade_is_unknown(store: Store) -> None:
    lists = DocumentLists(store.database)
    whole = lists.write(refs(2), "")
    read(Ledger(store.database, CONFIG, TASK), page(1), ref=HOSTILE)
    downgrade(store.database.engine, "0009")
    store.ensure_schema()
    with pytest.raises(ConfigurationError, match="has expired"):
        list(lists.read(whole))
    assert list(lists.read(lists.write(refs(2), ""))) == refs(2)
    with Session(store.database.engine) as session:
        assert session.scalar(select(func.count()).select_from(DocumentRow)) == 1
