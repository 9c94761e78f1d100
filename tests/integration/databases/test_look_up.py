"""States of document versions on SQLite, PostgreSQL, MariaDB and MySQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode, OverwrittenError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.leases import Lease
from airflow_deepseek_ocr.store.ledger import failure
from airflow_deepseek_ocr.store.results_store import MAX_CLAIMS, KnownVersion, State, Store
from airflow_deepseek_ocr.store.tables import DocumentRow
from tests.support.fixtures.stored_documents import (
    ACCESS_DENIED,
    CONFIG,
    LONG,
    REF,
    Make,
    claim,
    page,
    read,
    run_out,
)

DONE, RUNNING = KnownVersion(State.DONE), KnownVersion(State.RUNNING)


def test_versions_by_configuration(store: Store, ledger: Make) -> None:
    refs = [DocumentRef(f"s3://b/{number}", "v") for number in range(1200)]
    for ref in (refs[0], refs[700], refs[1199]):
        read(ledger(), page(1), ref=ref)
    keys = [refs[0].version_key, refs[700].version_key, refs[1199].version_key]
    known = dict.fromkeys(keys, DONE)
    assert store.look_up(refs) == known
    assert store.look_up(refs, CONFIG.key) == known
    assert store.look_up(refs, replace(CONFIG, prompt="free").key) == {}
    assert store.look_up([DocumentRef("s3://b/0", "other"), DocumentRef("s3://B/0", "v")]) == {}


def test_a_leased_version_is_running_and_due_when_its_task_is_dead(
    store: Store, ledger: Make
) -> None:
    task = ledger()
    claim(task)
    assert store.look_up([REF]) == {REF.version_key: RUNNING}
    assert store.abandoned() == []
    run_out(store)
    (known,) = store.look_up([REF]).values()
    assert known.state is State.DUE
    assert 0 < known.due_for_s < 60
    ((found, seconds),) = store.abandoned(CONFIG.key)
    assert found == REF
    assert abs(seconds - known.due_for_s) < 30
    assert store.abandoned(replace(CONFIG, prompt="free").key) == []
    task.release()
    assert [ref for ref, _ in store.abandoned()] == [REF]


def test_of_several_configurations_one_that_needs_no_work_decides(
    store: Store, ledger: Make
) -> None:
    dead = ledger(config=replace(CONFIG, prompt="free"))
    claim(dead)
    run_out(store)
    assert store.look_up([REF])[REF.version_key].state is State.DUE
    read(ledger(), page(1))
    assert store.look_up([REF]) == {REF.version_key: DONE}


@pytest.mark.parametrize("error", [ACCESS_DENIED, OverwrittenError("o")])
def test_failures_from_outside_are_due_again(store: Store, ledger: Make, error: Any) -> None:
    task = ledger()
    task.fail(claim(task), failure(error))
    assert store.look_up([REF]) == {REF.version_key: DONE}
    assert store.look_up([REF], retry_failed_after=LONG) == {REF.version_key: DONE}
    (known,) = store.look_up([REF], retry_failed_after=timedelta(seconds=-5)).values()
    assert known.state is State.DUE
    assert 5 <= known.due_for_s < 60
    assert store.abandoned() == []


def test_a_document_s_own_failures_are_not(store: Store, ledger: Make) -> None:
    task = ledger()
    task.fail(claim(task), failure(DocumentError(ErrorCode.DAMAGED, "d")))
    assert store.look_up([REF], retry_failed_after=timedelta(seconds=-5)) == {REF.version_key: DONE}


@pytest.mark.parametrize("error", [ACCESS_DENIED, OverwrittenError("o")])
def test_the_pause_grows_with_each_attempt_and_ends_at_the_last(
    store: Store, ledger: Make, error: Any
) -> None:
    task = ledger()
    task.fail(claim(task), failure(error))

    def due_for_s(claims: int) -> float | None:
        def work(session: Session) -> None:
            session.execute(update(DocumentRow).values(claims=claims))

        store.database.transaction(work)
        (known,) = store.look_up([REF], retry_failed_after=timedelta(hours=-1)).values()
        return known.due_for_s if known.state is State.DUE else None

    pauses = [round((due_for_s(claims) or 0) / 3600) for claims in range(1, MAX_CLAIMS)]
    assert pauses == list(range(1, MAX_CLAIMS))
    assert due_for_s(MAX_CLAIMS) is None
    assert due_for_s(MAX_CLAIMS + 5) is None


@pytest.mark.parametrize(
    "code", [ErrorCode.ARCHIVED, ErrorCode.ENCRYPTED_ELSEWHERE, ErrorCode.STORAGE_REFUSED]
)
def test_states_of_the_storage_are_not_due_but_a_task_may_try_again(
    store: Store, ledger: Make, code: ErrorCode
) -> None:
    task = ledger()
    task.fail(claim(task), failure(DocumentError(code, "d")))
    known = store.look_up([REF], retry_failed_after=timedelta(seconds=-5))
    assert known == {REF.version_key: KnownVersion(State.DONE, archived=code == ErrorCode.ARCHIVED)}
    assert isinstance(ledger().claim(REF), Lease)
