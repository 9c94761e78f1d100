"""What the sensor is told of documents, on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import DocumentError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.ledger import failure
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.stored_documents import (
    ACCESS_DENIED,
    LONG,
    RECIPE,
    REF,
    Make,
    claim,
    page,
    read,
    run_out,
)


def test_look_up(store: Store, ledger: Make) -> None:
    refs = [DocumentRef(f"s3://b/{number}", "v") for number in range(1200)]
    for ref in (refs[0], refs[700], refs[1199]):
        read(ledger(), page(1), ref=ref)
    known = dict.fromkeys([refs[0].version_key, refs[700].version_key, refs[1199].version_key])
    assert store.look_up(refs) == known
    assert store.look_up(refs, RECIPE.key) == known
    assert store.look_up(refs, replace(RECIPE, prompt="free").key) == {}
    assert store.look_up([DocumentRef("s3://b/0", "other"), DocumentRef("s3://B/0", "v")]) == {}


def test_what_is_being_read_is_known_and_due_when_its_task_is_dead(
    store: Store, ledger: Make
) -> None:
    task = ledger()
    claim(task)
    assert store.look_up([REF]) == {REF.version_key: None}
    assert store.abandoned() == []
    run_out(store)
    (due,) = store.look_up([REF]).values()
    assert due is not None
    assert 0 < due < 60
    ((found, seconds),) = store.abandoned(RECIPE.key)
    assert (found, abs(seconds - due) < 30) == (REF, True)
    assert store.abandoned(replace(RECIPE, prompt="free").key) == []
    task.release()
    assert [ref for ref, _ in store.abandoned()] == [REF]


@pytest.mark.parametrize("error", [ACCESS_DENIED, DocumentError("overwritten", "o")])
def test_failures_from_outside_are_due_again(store: Store, ledger: Make, error: Any) -> None:
    task = ledger()
    task.fail(claim(task), failure(error))
    assert store.look_up([REF]) == {REF.version_key: None}
    assert store.look_up([REF], retry_failed_after=LONG) == {REF.version_key: None}
    (due,) = store.look_up([REF], retry_failed_after=timedelta(seconds=-5)).values()
    assert due is not None
    assert 5 <= due < 60
    assert store.abandoned() == []


def test_a_document_s_own_failures_are_not(store: Store, ledger: Make) -> None:
    task = ledger()
    task.fail(claim(task), failure(DocumentError("damaged", "d")))
    assert store.look_up([REF], retry_failed_after=timedelta(seconds=-5)) == {REF.version_key: None}
