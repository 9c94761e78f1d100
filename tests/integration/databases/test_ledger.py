"""Claims, pages and their end on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import DatabaseError, OverwrittenError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.results import (
    DocumentResult,
    DocumentStatus,
    PageResult,
)
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.leases import AlreadyFinal, Lease, LeasedByAnother, LeaseLostError
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import TaskInfo
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow, RegionRow
from tests.support.fakes.broken_databases import (
    DyingDatabase,
    RepeatingDatabase,
    UnavailableDatabase,
)
from tests.support.fixtures.stored_documents import (
    ACCESS_DENIED,
    CONFIG,
    OTHER,
    REF,
    TASK,
    Make,
    claim,
    counts,
    document,
    failed,
    page,
    read,
    run_out,
    texts,
)


def test_everything_comes_back_as_it_was_written(store: Store, ledger: Make) -> None:
    content = "NUL \0, emoji \U0001f642, quotes '\"`, " + "ü" * 200_000
    read(ledger(), page(1, content))
    with Session(store.database.engine) as session:
        document = session.scalars(select(DocumentRow)).one()
        stored = session.scalars(select(PageRow)).one()
        regions = session.scalars(select(RegionRow).order_by(RegionRow.position)).all()
        assert (document.uri, document.version, document.map_index) == (REF.uri, "v1", 3)
        assert (document.status, document.page_count) == ("done", 1)
        assert document.media_type == "application/pdf"
        assert document.last_modified == REF.last_modified
        for when in (document.created_at, document.updated_at, stored.created_at):
            assert abs(datetime.now(UTC) - when) < timedelta(minutes=1)
        assert stored.text == content.replace("\0", "\ufffd")
        assert stored.compression_ratio == pytest.approx(50 / 111)
        assert [(region.x1, region.y2) for region in regions] == [(10, 40), (None, None)]


def test_lone_surrogates_do_not_lose_the_page(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "a\udc80b"))
    assert texts(store) == ["a?b"]


def test_the_databases_clock(store: Store, ledger: Make) -> None:
    claim(ledger(lease=timedelta(seconds=3)))
    with Session(store.database.engine) as session:
        offset = timedelta(seconds=-90.5)
        now, then = session.execute(select(DatabaseTime(), DatabaseTime(offset))).one()
        assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
        assert abs(then - now - offset) < timedelta(milliseconds=50)
        # Written by the clock, compared with what Python writes.
        for moment, later in ((now, True), (now + timedelta(minutes=5), False)):
            assert bool(session.scalar(select(DocumentRow.lease_expires_at > moment))) is later


def test_a_leased_document_is_claimed_by_no_other_task(ledger: Make) -> None:
    first = claim(ledger())
    assert ledger(OTHER).claim(REF) == LeasedByAnother("dag, run, task[3], try 1")
    assert first.final_pages == frozenset()


def test_of_many_claims_at_once_one_wins(ledger: Make) -> None:
    def try_to(number: int) -> object:
        return ledger(TaskInfo("dag", f"run {number}", "task", -1, 1)).claim(REF)

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(try_to, range(8)))
    assert sum(isinstance(each, Lease) for each in claims) == 1
    assert sum(isinstance(each, LeasedByAnother) for each in claims) == 7


def test_a_dead_task_s_document_is_resumed_at_the_missing_page(store: Store, ledger: Make) -> None:
    dead = ledger()
    lease = claim(dead)
    dead.write_page(lease, page(1, "by the dead"))
    dead.write_page(lease, failed(2, retryable=True))
    assert isinstance(ledger(OTHER).claim(REF), LeasedByAnother)
    run_out(store)

    successor = ledger(OTHER)
    reclaimed = claim(successor)
    assert reclaimed.final_pages == {1}
    # The first task was only slow: it cannot write any more.
    for attempt in (
        lambda: dead.write_page(lease, page(1, "too late")),
        lambda: dead.complete(lease, media_type="", page_count=2, pages=2),
        lambda: dead.fail(lease, failure(ACCESS_DENIED)),
    ):
        with pytest.raises(LeaseLostError):
            attempt()
    dead.release()
    assert isinstance(ledger().claim(REF), LeasedByAnother)
    successor.write_page(reclaimed, page(2, "by the successor"))
    result = successor.complete(reclaimed, media_type="application/pdf", page_count=2, pages=2)
    assert result == DocumentResult(DocumentStatus.DONE, 2, 0)
    assert texts(store) == ["by the dead", "by the successor"]
    assert document(store).claims == 2
    assert counts(store) == (1, 2, 4)


def test_the_next_try_of_the_same_task_reclaims_at_once(ledger: Make) -> None:
    first = ledger()
    lease = claim(first)
    first.write_page(lease, page(1))
    second = ledger(replace(TASK, try_number=2))
    assert claim(second).final_pages == {1}
    # An earlier try that was only slow does not reclaim it.
    assert isinstance(ledger().claim(REF), LeasedByAnother)
    # Another map index of the same task is another task, and so is anything outside Airflow.
    assert isinstance(ledger(replace(TASK, map_index=4)).claim(REF), LeasedByAnother)
    assert isinstance(ledger(TaskInfo()).claim(REF), LeasedByAnother)


def test_an_expired_lease_is_valid_until_it_is_reclaimed(store: Store, ledger: Make) -> None:
    slow = ledger()
    lease = claim(slow)
    run_out(store)
    slow.write_page(lease, page(1))
    slow.complete(lease, media_type="", page_count=1, pages=1)
    assert document(store).status == "done"


def test_leases_are_renewed_and_then_released(ledger: Make) -> None:
    busy = ledger(lease=timedelta(seconds=1.2))
    with busy.renewing():
        claim(busy)
        # Longer than the lease lasts without a renewal.
        deadline = time.monotonic() + 2.4
        while time.monotonic() < deadline:
            assert isinstance(ledger(OTHER).claim(REF), LeasedByAnother)
            time.sleep(0.1)
    claim(ledger(OTHER))  # at once


def test_a_release_without_a_database_is_logged(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    class Switch(Database):
        def __init__(self) -> None:
            self.current: Database = store.database
            self.outage = store.database.outage
            self.names = store.database.names

        def transaction(self, work: Callable[[Session], Any], *, patient: bool = True) -> Any:
            return self.current.transaction(work, patient=patient)

    switch = Switch()
    task = Ledger(switch, CONFIG, TASK)
    claim(task)
    switch.current = UnavailableDatabase(store.database)
    task.renew()
    assert "the leases of 1 document were not renewed; the next try is in " in caplog.text
    task.release()
    assert "the leases of 1 document were not released." in caplog.text
    assert caplog.text.count("The results database has been away since ") == 2
    assert caplog.text.count("no server") == 2


def test_completion_counts_the_rows(store: Store, ledger: Make) -> None:
    task = ledger()
    lease = claim(task)
    task.write_page(lease, page(1))
    with pytest.raises(LeaseLostError):
        task.complete(lease, media_type="", page_count=2, pages=2)
    assert document(store).status == "processing"


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([page(1), failed(2)], DocumentResult(DocumentStatus.PARTIAL, 2, 1)),
        ([failed(1), failed(2)], DocumentResult(DocumentStatus.FAILED, 2, 2, "e1", "e")),
        (
            [page(1), failed(2, retryable=True)],
            DocumentResult(DocumentStatus.PARTIAL, 2, 1, retryable=True),
        ),
    ],
)
def test_the_status_follows_from_the_pages(
    store: Store, ledger: Make, pages: list[PageResult], expected: DocumentResult
) -> None:
    task = ledger()
    lease = claim(task)
    for each in pages:
        task.write_page(lease, each)
    assert task.complete(lease, media_type="", page_count=2, pages=2) == expected
    row = document(store)
    stored = (row.status, row.error_code, row.error, row.retryable)
    assert stored == (expected.status, expected.error_code, expected.error, expected.retryable)


def test_a_final_document_is_not_claimed_and_a_retry_gets_its_result(ledger: Make) -> None:
    read(ledger(), page(1), failed(2))
    assert ledger(OTHER).claim(REF) == AlreadyFinal()
    by_us = DocumentResult(DocumentStatus.PARTIAL, 2, 1)
    assert ledger(replace(TASK, try_number=2)).claim(REF) == AlreadyFinal(by_us)


def test_only_pages_that_may_succeed_are_processed_again(store: Store, ledger: Make) -> None:
    read(ledger(), page(1), failed(2), failed(3, retryable=True))
    lease = claim(ledger(OTHER))
    assert lease.final_pages == {1, 2}
    assert (document(store).status, document(store).retryable) == ("processing", False)


def test_overwriting_replaces_page_by_page_and_a_retry_resumes(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "old"), page(2, "old"))
    created = document(store).created_at
    again = ledger(OTHER)
    lease = claim(again, overwrite=True)
    assert lease.final_pages == frozenset()
    again.write_page(lease, page(1, "new"))
    assert texts(store) == ["new", "old"]
    retry = ledger(replace(OTHER, try_number=2))
    lease = claim(retry, overwrite=True)
    assert lease.final_pages == {1}
    retry.write_page(lease, page(2, "new"))
    retry.complete(lease, media_type="", page_count=2, pages=2)
    assert texts(store) == ["new", "new"]
    assert isinstance(ledger(replace(OTHER, try_number=3)).claim(REF, overwrite=True), AlreadyFinal)
    assert counts(store) == (1, 2, 4)
    assert (document(store).claims, document(store).created_at) == (3, created)


def test_another_configuration_leaves_the_old_rows(store: Store, ledger: Make) -> None:
    read(ledger(), page(1, "old"))
    read(ledger(config=replace(CONFIG, prompt="free")), page(1, "new"))
    assert counts(store) == (2, 2, 4)


def test_a_version_that_was_gone_may_be_claimed_again(ledger: Make) -> None:
    task = ledger()
    task.fail(claim(task), failure(OverwrittenError("another version")))
    claim(ledger(OTHER))


def test_a_failure_without_a_claim_leaves_nothing_open(store: Store, ledger: Make) -> None:
    unversioned = REF.unversioned()
    ledger().fail_unclaimed(unversioned, failure(ACCESS_DENIED))
    row = document(store)
    assert (row.status, row.error_code, row.lease_expires_at) == ("failed", "access_denied", None)

    dying = Ledger(DyingDatabase(store.database), CONFIG, OTHER)
    with pytest.raises(RuntimeError):
        dying.fail_unclaimed(unversioned, failure(ACCESS_DENIED))
    assert (document(store).status, document(store).claims) == ("failed", 1)
    assert store.abandoned() == []
    # A document that another task has leased is left to it.
    claim(ledger(), REF)
    ledger(OTHER).fail_unclaimed(REF, failure(ACCESS_DENIED))
    assert isinstance(ledger(OTHER).claim(REF), LeasedByAnother)


def test_a_page_is_written_whole_or_not_at_all(store: Store, ledger: Make) -> None:
    task = ledger()
    lease = claim(task)
    task.write_page(lease, page(1))
    dying = Ledger(DyingDatabase(store.database), CONFIG, TASK)
    for number in (1, 2):
        with pytest.raises(RuntimeError):
            dying.write_page(lease, page(number, "new"))
    assert counts(store) == (1, 1, 2)
    assert texts(store) == ["text"]


def test_a_transaction_that_runs_twice_changes_nothing(store: Store) -> None:
    task = Ledger(RepeatingDatabase(store.database), CONFIG, TaskInfo())
    lease = claim(task)
    task.write_page(lease, page(1))
    result = task.complete(lease, media_type="", page_count=1, pages=1)
    assert result.status is DocumentStatus.DONE
    assert counts(store) == (1, 1, 2)
    assert document(store).claims == 1


def test_a_connection_that_breaks_while_it_is_prepared(connection: str) -> None:
    with closing(open_store(connection, patience_s=3)) as store:
        _break_connections(store)


def _break_connections(store: Store) -> None:
    engine = store.database.engine
    left = [2]

    @event.listens_for(engine, "connect")
    def connect(*_: object) -> None:
        if left[0]:
            left[0] -= 1
            raise engine.dialect.loaded_dbapi.OperationalError("gone")

    engine.dispose()
    assert store.look_up([DocumentRef("s3://bucket/none", "v")]) == {}
    assert left == [0]
    left[0] = 100
    engine.dispose()
    with pytest.raises(DatabaseError, match="gone"):
        store.look_up([REF])
    assert left[0] > 0


def test_a_lost_lease_is_noticed_when_it_is_renewed(store: Store, ledger: Make) -> None:
    slow = ledger()
    lease = claim(slow)
    assert slow.holds(lease)
    slow.renew()
    assert slow.holds(lease)
    run_out(store)
    claim(ledger(OTHER))
    slow.renew()
    assert not slow.holds(lease)
