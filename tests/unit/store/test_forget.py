"""Deletion of documents on SQLite; tests/integration/databases has the servers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import Table

from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import Deleted, forget
from airflow_deepseek_ocr.store.leases import LeasedByAnother, LeaseLostError
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import Base
from tests.support.fixtures.stored_documents import (
    CONFIG,
    REF,
    TASK,
    claim,
    counts,
    document,
    page,
    read,
    run_out,
)

ANOTHER_CONFIG = replace(CONFIG, prompt="free")


def fill(store: Store, *uris: str) -> None:
    for uri in uris:
        read(Ledger(store.database, CONFIG, TASK), page(1), page(2), ref=replace(REF, uri=uri))


def uris(store: Store, **selection: object) -> list[str]:
    return [each.uri for each in find(store.database, Selection(**selection))]  # type: ignore[arg-type]


#: Their documents mostly have no row; ``forget`` deletes the items of its documents itself.
LISTS = {"ocr_document_lists", "ocr_document_list_items"}


@pytest.mark.parametrize(
    "table",
    [table for table in Base.metadata.sorted_tables if table.name not in LISTS],
    ids=lambda table: table.name,
)
def test_every_table_is_deleted_with_the_document(table: Table) -> None:
    seen = table
    while seen.name != "ocr_documents":
        keys = list(seen.foreign_keys)
        assert keys, f"{seen.name} is not tied to a document: forget would leave its rows"
        assert {key.ondelete for key in keys} == {"CASCADE"}
        seen = keys[0].column.table


def test_all_versions_and_configurations_of_a_uri(store: Store) -> None:
    fill(store, "s3://b/a", "s3://b/ab")
    read(Ledger(store.database, ANOTHER_CONFIG, TASK), page(1), ref=replace(REF, uri="s3://b/a"))
    read(
        Ledger(store.database, CONFIG, TASK),
        page(1),
        ref=replace(REF, uri="s3://b/a", version="v2"),
    )
    found = list(find(store.database, Selection(uris=("s3://b/a",))))
    assert [(each.version, each.config_key, each.pages) for each in found] == [
        ("v1", CONFIG.key, 2),
        ("v1", ANOTHER_CONFIG.key, 1),
        ("v2", CONFIG.key, 1),
    ]
    assert uris(store, uris=("s3://b/a",), version="v2") == ["s3://b/a"]
    assert uris(store, config_key=ANOTHER_CONFIG.key) == ["s3://b/a"]
    for each in found:
        assert isinstance(forget(store.database, each.document_key), Deleted)
    assert counts(store) == (1, 2, 4)
    assert uris(store) == ["s3://b/ab"]


def test_a_document_that_a_task_is_processing_is_kept(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, TASK)
    claim(ledger)
    (found,) = find(store.database, Selection(uris=(REF.uri,)))
    owner = "dag, run, task[3], try 1"
    assert found.owner == owner
    assert forget(store.database, found.document_key) == LeasedByAnother(owner)
    assert document(store).status == "processing"


def test_late_pages_of_a_forgotten_document_are_refused(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, TASK)
    lease = claim(ledger)
    ledger.write_page(lease, page(1))
    (found,) = find(store.database, Selection(uris=(REF.uri,)))
    assert forget(store.database, found.document_key, force=True) == Deleted(1, 2)
    with pytest.raises(LeaseLostError):
        ledger.write_page(lease, page(2))
    with suppress(LeaseLostError):
        ledger.complete(lease, media_type="", page_count=2, pages=2)
    ledger.release()
    assert counts(store) == (0, 0, 0)
    assert ledger.is_forgotten(REF)


def test_an_expired_lease_keeps_nothing(store: Store) -> None:
    claim(Ledger(store.database, CONFIG, TASK))
    run_out(store)
    (found,) = find(store.database, Selection(uris=(REF.uri,)))
    assert found.owner is None
    assert forget(store.database, found.document_key) == Deleted(0, 0)
    assert forget(store.database, found.document_key) is None
