"""Lists of documents that are stored, read in parts, forgotten and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import document_key
from airflow_deepseek_ocr.store.forget import forget
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.lists import document_lists
from airflow_deepseek_ocr.store.lists.document_lists import DocumentLists
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentListRow, ListItemRow
from tests.support.fixtures.stored_documents import CONFIG, TASK, page, read

ORIGIN = "s3://b/in/"
FULL = DocumentRef(
    "s3://b/ä b\n\0'\"\\\U0001f600.pdf ",
    "v ",
    version_id="v ",
    etag="e",
    size=2**40,
    last_modified=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
)


def ref(number: int) -> DocumentRef:
    return DocumentRef(f"s3://b/{number}.pdf", f"v{number}")


def refs(count: int) -> list[DocumentRef]:
    return [ref(number) for number in range(count)]


@pytest.fixture
def lists(store: Store, monkeypatch: pytest.MonkeyPatch) -> DocumentLists:
    monkeypatch.setattr(document_lists, "_BATCH", 7)
    monkeypatch.setattr(document_lists, "_ROWS", 3)
    return DocumentLists(store.database)


def stored_rows(store: Store) -> tuple[int, int]:
    with Session(store.database.engine) as session:
        lists, items = (
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (DocumentListRow, ListItemRow)
        )
    return lists, items


def test_a_list_comes_back_whole_and_in_parts(lists: DocumentLists) -> None:
    documents = [*refs(30), FULL, DocumentRef("file:///data/a.pdf")]
    whole = lists.write(iter(documents), ORIGIN)
    assert (whole.first, whole.count) == (0, 32)
    assert list(lists.read(whole)) == documents
    assert list(lists.read(ListSlice(whole.key))) == documents
    assert list(lists.read(ListSlice(whole.key, 28))) == documents[28:]
    parts = [ListSlice(whole.key, first, 8) for first in range(0, 32, 8)]
    assert [each for part in parts for each in lists.read(part)] == documents
    assert list(lists.read(ListSlice(whole.key, 32, 0))) == []


def test_a_document_may_be_in_a_list_twice_and_in_several(lists: DocumentLists) -> None:
    first, second = (lists.write([ref(1), ref(1)], ORIGIN) for _ in range(2))
    assert first.key != second.key
    assert list(lists.read(second)) == [ref(1), ref(1)]


@pytest.mark.parametrize("part", [(30, 1), (0, 31), (31, None)])
def test_a_part_beyond_the_end_is_refused(lists: DocumentLists, part: tuple[int, int]) -> None:
    key = lists.write(refs(30), ORIGIN).key
    with pytest.raises(ConfigurationError, match="has 30 documents") as caught:
        list(lists.read(ListSlice(key, *part)))
    assert caught.value.code is ErrorCode.DOCUMENT_LIST


def test_a_list_that_was_cut_off_is_unknown_and_expires(lists: DocumentLists, store: Store) -> None:
    def interrupted() -> Iterator[DocumentRef]:
        yield from refs(20)
        raise OSError("the listing broke off")

    with pytest.raises(OSError, match="broke off"):
        DocumentLists(store.database, timedelta(days=-1)).write(interrupted(), ORIGIN)
    assert stored_rows(store) == (1, 14)
    with Session(store.database.engine) as session:
        key = session.scalars(select(DocumentListRow.list_key)).one()
    with pytest.raises(ConfigurationError, match="has no list of documents"):
        list(lists.read(ListSlice(key)))
    kept = lists.write(refs(2), ORIGIN)
    assert stored_rows(store) == (1, 2)
    assert list(lists.read(kept)) == refs(2)


def test_an_unknown_list_says_what_to_do(lists: DocumentLists) -> None:
    with pytest.raises(
        ConfigurationError, match="db_conn_id, db_schema or db_table_prefix"
    ) as caught:
        list(lists.read(ListSlice("0" * 32)))
    assert caught.value.code is ErrorCode.DOCUMENT_LIST


def test_lists_are_deleted_a_few_at_a_time(
    lists: DocumentLists, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_lists, "_DELETED_AT_ONCE", 2)
    for _ in range(5):
        lists.write(refs(1), ORIGIN)
    with Session(store.database.engine) as session, session.begin():
        before = DocumentListRow.created_at
        session.execute(update(DocumentListRow).values(expires_at=before))
    assert [lists.delete_expired() for _ in range(4)] == [2, 2, 1, 0]
    assert stored_rows(store) == (0, 0)


def test_a_batch_whose_commit_was_not_answered_is_stored_once(
    lists: DocumentLists, store: Store
) -> None:
    whole = lists.write(refs(20), ORIGIN)
    with Session(store.database.engine) as session:
        list_id = session.scalars(select(DocumentListRow.id)).one()
    lists._add(list_id, 14, refs(20)[14:])
    assert list(lists.read(whole)) == refs(20)


def test_a_forgotten_document_is_left_out(lists: DocumentLists, store: Store) -> None:
    whole = lists.write(refs(4), ORIGIN)
    other = replace(CONFIG, prompt="free")
    for config in (CONFIG, other):
        read(Ledger(store.database, config, TASK), page(1), ref=ref(2))
    forget(store.database, document_key(ref(2), CONFIG))
    assert list(lists.read(whole)) == refs(4)
    forget(store.database, document_key(ref(2), other))
    assert list(lists.read(whole)) == [ref(0), ref(1), ref(3)]
    assert list(lists.read(ListSlice(whole.key, 2, 1))) == []


def test_a_list_that_is_deleted_while_it_is_read_is_an_error_and_not_shorter(
    lists: DocumentLists, store: Store
) -> None:
    documents = lists.read(lists.write(refs(10), ORIGIN))
    assert next(documents) == ref(0)
    with Session(store.database.engine) as session, session.begin():
        session.execute(delete(DocumentListRow))
    with pytest.raises(ConfigurationError, match="It has expired") as caught:
        list(documents)
    assert caught.value.code is ErrorCode.DOCUMENT_LIST
