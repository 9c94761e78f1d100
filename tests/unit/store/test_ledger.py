"""The ledger on SQLite; tests/integration/databases has every database and concurrent tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DocumentError,
    ErrorCode,
    OverwrittenError,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.results import DocumentResult, DocumentStatus
from airflow_deepseek_ocr.store.leases import (
    GONE,
    AlreadyFinal,
    Lease,
    LeasedByAnother,
    LeaseLostError,
)
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import TaskInfo
from tests.support.fixtures.stored_documents import (
    CONFIG,
    OTHER,
    REF,
    TASK,
    claim,
    document,
    failed,
    page,
    read,
)


def ledger(store: Store, task: TaskInfo = TASK) -> Ledger:
    return Ledger(store.database, CONFIG, task)


def test_claim_store_complete(store: Store) -> None:
    mine = ledger(store)
    lease = claim(mine)
    assert mine.holds(lease)
    mine.write_page(lease, page(1))
    result = mine.complete(lease, media_type="image/png", page_count=3, pages=1)
    assert result == DocumentResult(DocumentStatus.DONE, pages=1, failed_pages=0)
    assert not mine.holds(lease)
    row = document(store)
    assert (row.media_type, row.page_count, row.lease_expires_at) == ("image/png", 3, None)


@pytest.mark.parametrize(
    ("task", "owner"),
    [
        (TASK, "dag, run, task[3], try 1"),
        (replace(TASK, map_index=-1), "dag, run, task, try 1"),
        (TaskInfo(), "a process outside Airflow"),
    ],
)
def test_the_owner_of_a_lease_is_named(task: TaskInfo, owner: str, store: Store) -> None:
    claim(ledger(store, task))
    assert ledger(store, OTHER).claim(REF) == LeasedByAnother(owner)


def test_released_leases_are_free(store: Store) -> None:
    mine = ledger(store)
    lease = claim(mine)
    mine.release()
    assert not mine.holds(lease)
    assert isinstance(ledger(store, OTHER).claim(REF), Lease)
    with pytest.raises(LeaseLostError):
        mine.write_page(lease, page(1))


def test_leases_left_at_the_end_of_renewing_are_released(store: Store) -> None:
    mine = ledger(store)
    with mine.renewing():
        claim(mine)
    assert isinstance(ledger(store, OTHER).claim(REF), Lease)


def test_completion_needs_every_page(store: Store) -> None:
    mine = ledger(store)
    with pytest.raises(LeaseLostError):
        mine.complete(claim(mine), media_type="", page_count=1, pages=1)


def test_a_result_is_remembered_for_the_same_task_instance(store: Store) -> None:
    read(ledger(store), page(1), failed(2))
    by_us = DocumentResult(DocumentStatus.PARTIAL, pages=2, failed_pages=1)
    assert ledger(store, replace(TASK, try_number=2)).claim(REF) == AlreadyFinal(by_us)
    assert ledger(store, OTHER).claim(REF) == AlreadyFinal(None)


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (DocumentError(ErrorCode.DAMAGED, "d"), False),
        (ConfigurationError(ErrorCode.DEVICE, "d"), False),
        (UnavailableError(ErrorCode.ACCESS_DENIED, "a"), True),
    ],
)
def test_failures_are_retryable_by_their_class(error: DocumentError, retryable: bool) -> None:
    result = failure(error)
    assert (result.status, result.error_code) == (DocumentStatus.FAILED, error.code)
    assert (result.error, result.retryable) == (str(error), retryable)
    assert failure(error, retryable=True).retryable


def test_versions_that_are_gone_may_come_back() -> None:
    assert OverwrittenError("o").code in GONE
    assert ErrorCode.DAMAGED not in GONE
