"""States of versions on SQLite; tests/integration/databases has every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from airflow_deepseek_ocr.exceptions import OverwrittenError
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.results_store import KnownVersion, State, Store
from tests.support.fixtures.stored_documents import (
    ACCESS_DENIED,
    CONFIG,
    REF,
    TASK,
    claim,
    page,
    read,
    run_out,
)


def state(store: Store, retry_failed_after: timedelta | None = None) -> State:
    return store.look_up([REF], CONFIG.key, retry_failed_after)[REF.version_key].state


def test_states_of_a_version(store: Store) -> None:
    assert store.look_up([REF]) == {}
    ledger = Ledger(store.database, CONFIG, TASK)
    claim(ledger)
    assert state(store) is State.RUNNING
    run_out(store)
    assert state(store) is State.DUE
    read(Ledger(store.database, CONFIG, replace(TASK, try_number=2)), page(1))
    assert store.look_up([REF]) == {REF.version_key: KnownVersion(State.DONE)}


def test_retryable_failures_are_due_after_a_while(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, TASK)
    ledger.fail(claim(ledger), failure(ACCESS_DENIED))
    assert state(store) is State.DONE
    assert state(store, timedelta(hours=1)) is State.DONE
    assert state(store, timedelta(seconds=-1)) is State.DUE


def test_a_version_that_was_gone_is_due_after_a_while(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, TASK)
    ledger.fail(claim(ledger), failure(OverwrittenError("o")))
    assert state(store, timedelta(seconds=-1)) is State.DUE


def test_abandoned_documents_come_with_their_reference(store: Store) -> None:
    versioned = replace(REF, version="id", version_id="id")
    ledger = Ledger(store.database, CONFIG, TASK)
    for ref in (REF, versioned):
        claim(ledger, ref)
    assert store.abandoned() == []
    run_out(store)
    found = dict(store.abandoned(CONFIG.key))
    assert set(found) == {REF, versioned}
    assert all(seconds >= 1 for seconds in found.values())
    assert store.abandoned("another configuration") == []
