"""Corrections and acceptance of pages, on SQLite, PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.airflow_support.results_database import results_engine
from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.browsing.result_reader import read_pages, read_regions, read_tables
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.reviews.corrections import (
    ReviewConflictError,
    Seen,
    accept_page,
    correct_page,
    correct_region,
)
from airflow_deepseek_ocr.store.tables import DocumentRow, RegionRow
from tests.support.fixtures.stored_documents import REF, claim, document, page

TABLE = "<table><tr><td>Ä</td></tr></table>"


def test_a_review_stays_when_the_page_is_read_again(
    store: Store, ledger: Callable[..., Ledger]
) -> None:
    task = ledger()
    lease = claim(task, REF)
    task.write_page(lease, page(1, TABLE))
    (stored,) = read_pages(store.database, document(store).id)
    with Session(store.database.engine) as session:
        region = session.scalars(select(RegionRow).where(RegionRow.position == 0)).one()
    seen = Seen(stored.created_at)
    right = TABLE.replace("Ä", "7")
    review = correct_region(store.database, region.id, right, by="ada", seen=seen)
    with pytest.raises(ReviewConflictError):
        correct_page(store.database, stored.id, "x", by="bob", seen=seen)
    seen = Seen(stored.created_at, review.reviewed_at)
    accepted = accept_page(store.database, stored.id, by="bob", seen=seen)
    assert accepted.accepted_at is not None
    task.write_page(lease, page(1, TABLE))
    (again,) = read_pages(store.database, document(store).id)
    assert (again.is_corrected, again.is_accepted) == (True, True)
    assert again.reviewed_at == review.reviewed_at
    assert read_regions(store.database, again.id)[0].text == right
    assert [table.rows for table in read_tables(store.database, again.document_id)] == [[["7"]]]
    with pytest.raises(ReviewConflictError, match="read again"):
        correct_page(store.database, stored.id, "x", by="bob", seen=seen)
    task.complete(lease, media_type="", page_count=1, pages=1)


def test_of_two_corrections_at_once_one_is_kept(
    store: Store, ledger: Callable[..., Ledger]
) -> None:
    task = ledger()
    lease = claim(task, REF)
    task.write_page(lease, page(1))
    (stored,) = read_pages(store.database, document(store).id)
    start, outcomes = threading.Barrier(4), list[str]()

    def correct(name: str) -> None:
        start.wait(30)
        try:
            correct_page(store.database, stored.id, name, by=name, seen=Seen(stored.created_at))
            outcomes.append(name)
        except ReviewConflictError:
            outcomes.append("conflict")

    threads = [threading.Thread(target=correct, args=(f"{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (kept,) = (name for name in outcomes if name != "conflict")
    (after,) = read_pages(store.database, document(store).id)
    assert after.text == kept


def test_a_correction_waits_for_a_task_that_writes_the_document_a_bounded_time(
    store: Store, ledger: Callable[..., Ledger], connection: str
) -> None:
    task = ledger()
    task.write_page(claim(task, REF), page(1))
    (stored,) = read_pages(store.database, document(store).id)
    seen = Seen(stored.created_at)
    tries: list[int] = []
    with closing(Database(results_engine(connection), patience_s=60, lock_wait_s=1)) as writer:

        @event.listens_for(writer.engine, "checkout")
        def checkout(*_: object) -> None:
            tries.append(1)

        with Session(store.database.engine) as session, session.begin():
            session.execute(select(DocumentRow.id).with_for_update()).one()
            with pytest.raises(DatabaseError, match="Try again in a few seconds") as busy:
                correct_page(writer, stored.id, "x", by="bob", seen=seen)
        assert busy.value.code == ErrorCode.DATABASE_BUSY
        assert len(tries) == 1
        assert correct_page(writer, stored.id, "x", by="bob", seen=seen).reviewed_by == "bob"
