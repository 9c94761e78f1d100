"""Documents are forgotten on SQLite, PostgreSQL, MariaDB and MySQL, also while a task processes them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import Deleted, forget
from airflow_deepseek_ocr.store.leases import LeasedByAnother, LeaseLostError
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.stored_documents import REF, claim, counts, page, read

URIS = ("s3://b/a_c", "s3://b/abc", "s3://b/a%", "s3://B/a_c", "s3://b/a_c ", "s3://b/Ä\\1")


def found(store: Store, **selection: object) -> list[str]:
    return [each.uri for each in find(store.database, Selection(**selection))]  # type: ignore[arg-type]


def test_uris_are_matched_exactly(store: Store, ledger: Callable[..., Ledger]) -> None:
    for uri in URIS:
        read(ledger(), page(1), ref=replace(REF, uri=uri))
    for uri in URIS:
        assert found(store, uris=(uri,)) == [uri]
    assert found(store, prefixes=("s3://b/a_",)) == ["s3://b/a_c", "s3://b/a_c "]
    assert found(store, prefixes=("s3://b/Ä\\",)) == ["s3://b/Ä\\1"]
    assert found(store, prefixes=("s3://b/a%",)) == ["s3://b/a%"]


def test_pages_and_regions_go_with_the_document(
    store: Store, ledger: Callable[..., Ledger]
) -> None:
    for uri in URIS[:2]:
        read(ledger(), page(1), page(2), ref=replace(REF, uri=uri))
    (gone,) = find(store.database, Selection(uris=URIS[:1]))
    assert (gone.pages, gone.owner) == (2, None)
    assert forget(store.database, gone.document_key) == Deleted(2, 4)
    assert counts(store) == (1, 2, 4)
    assert forget(store.database, gone.document_key) is None


def test_a_leased_document_is_kept_unless_forced(
    store: Store, ledger: Callable[..., Ledger]
) -> None:
    task = ledger()
    lease = claim(task)
    task.write_page(lease, page(1))
    (here,) = find(store.database, Selection(uris=(REF.uri,)))
    assert isinstance(forget(store.database, here.document_key), LeasedByAnother)
    assert forget(store.database, here.document_key, force=True) == Deleted(1, 2)
    with pytest.raises(LeaseLostError):
        task.write_page(lease, page(2))
    assert task.is_forgotten(REF)
    assert counts(store) == (0, 0, 0)


def test_a_task_that_writes_at_the_same_time_leaves_nothing_behind(
    store: Store, ledger: Callable[..., Ledger]
) -> None:
    task = ledger()
    lease = claim(task)
    (here,) = find(store.database, Selection(uris=(REF.uri,)))
    lost = threading.Event()

    def write() -> None:
        number = 0
        while not lost.is_set():
            number += 1
            try:
                task.write_page(lease, page(number))
            except LeaseLostError:
                lost.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        forget(store.database, here.document_key, force=True)
        assert lost.wait(30)
    finally:
        lost.set()
        thread.join()
    assert counts(store) == (0, 0, 0)
