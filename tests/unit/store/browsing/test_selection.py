"""Documents that a person names, on SQLite; tests/integration/databases has the servers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.stored_documents import CONFIG, REF, TASK, claim, page, read

ANOTHER_CONFIG = replace(CONFIG, prompt="free")


def fill(store: Store, *uris: str) -> None:
    for uri in uris:
        read(Ledger(store.database, CONFIG, TASK), page(1), page(2), ref=replace(REF, uri=uri))


def uris(store: Store, **selection: object) -> list[str]:
    return [each.uri for each in find(store.database, Selection(**selection))]  # type: ignore[arg-type]


def test_uris_have_no_wildcards_and_no_case_folding(store: Store) -> None:
    fill(store, "s3://b/a_c", "s3://b/abc", "s3://b/a%", "s3://B/a_c", "s3://b/ü/1", "s3://b/ü2")
    assert uris(store, uris=("s3://b/a_c", "s3://b/a%")) == ["s3://b/a_c", "s3://b/a%"]
    assert uris(store, prefixes=("s3://b/a_",)) == ["s3://b/a_c"]
    assert uris(store, prefixes=("s3://b/a%", "s3://b/a")) == [
        "s3://b/a%",
        "s3://b/a_c",
        "s3://b/abc",
    ]
    assert uris(store, prefixes=("s3://b/ü/",)) == ["s3://b/ü/1"]
    assert uris(store, uris=("s3://b/none",)) == []


def test_more_rows_than_a_transaction_lists(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_deepseek_ocr.store.browsing.selection._CHUNK", 2)
    names = [f"s3://b/{number}" for number in range(5)]
    fill(store, *names)
    assert uris(store, prefixes=("s3://b/",)) == names
    assert sorted(uris(store, uris=tuple(names))) == names


def test_versions_and_configurations_differ_and_a_task_is_named(store: Store) -> None:
    fill(store, "s3://b/a")
    read(Ledger(store.database, ANOTHER_CONFIG, TASK), page(1), ref=replace(REF, uri="s3://b/a"))
    claim(Ledger(store.database, CONFIG, TASK), replace(REF, uri="s3://b/a", version="v2"))
    found = list(find(store.database, Selection(uris=("s3://b/a",))))
    owner = "dag, run, task[3], try 1"
    assert [(each.version, each.config_key, each.pages, each.owner) for each in found] == [
        ("v1", CONFIG.key, 2, None),
        ("v1", ANOTHER_CONFIG.key, 1, None),
        ("v2", CONFIG.key, 0, owner),
    ]
    assert uris(store, uris=("s3://b/a",), version="v2") == ["s3://b/a"]
    assert uris(store, config_key=ANOTHER_CONFIG.key, prefixes=("s3://c",)) == []
