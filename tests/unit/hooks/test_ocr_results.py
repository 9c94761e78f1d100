"""Results for later tasks, by a connection of Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import ConfigurationError
from airflow_deepseek_ocr.hooks.ocr_results import OcrResults
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.lists.document_lists import DocumentLists
from tests.support.airflow_connections import define_sqlite
from tests.support.fixtures.stored_documents import CONFIG, OTHER, REF, TASK, failed, page, read

SECOND = replace(REF, uri="s3://bucket/second.pdf")


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OcrResults]:
    define_sqlite(monkeypatch, "results", tmp_path / "results.db")
    with closing(open_store("results")) as store:
        read(Ledger(store.database, CONFIG, TASK), page(1, "one"), page(2, "two"))
        read(Ledger(store.database, CONFIG, OTHER), failed(1), ref=SECOND)
    with OcrResults("results") as opened:
        yield opened


def test_documents_of_a_return_value(results: OcrResults) -> None:
    both = list(results.documents_of([{"document_ids": [2]}, {"document_ids": [1, 2]}]))
    assert [each.id for each in both] == [1, 2]
    assert [each.id for each in results.documents_of({"document_ids": [1], "not_listed": {}})] == [
        1
    ]
    left_out = {"document_ids": [1], "not_listed": {"document_ids": 7}}
    for returned, message in ((left_out, "leaves out 7 of"), ({}, "leaves out all of")):
        with pytest.raises(ConfigurationError, match=message):
            results.documents_of(returned)


def test_documents_by_run_and_uri(results: OcrResults) -> None:
    assert [each.id for each in results.documents(dag_id="dag", run_id="run")] == [1]
    assert [each.id for each in results.documents(uris=[SECOND.uri, "s3://bucket/none"])] == [2]
    assert [each.id for each in results.documents(config_key=CONFIG.key)] == [1, 2]
    assert list(results.documents(ids=[])) == []
    with pytest.raises(ConfigurationError, match="not both"):
        list(results.documents(ids=[1], uris=["s3://b"]))


def test_text_pages_and_reviews(results: OcrResults) -> None:
    (document,) = results.documents(ids=[1])
    assert results.text(document) == results.text(1) == "one\n\ntwo"
    first, second = results.pages(document)
    assert [region.text for region in results.regions(first)] == ["one", ""]
    assert results.correct(first, "ONE", by="ada").reviewed_by == "ada"
    assert results.accept(second, by="bob").accepted_by == "bob"
    assert results.text(document) == "ONE\n\ntwo"
    assert [page.is_accepted for page in results.pages(1)] == [False, True]
    assert list(results.tables(document)) == list(results.exports(document)) == []


def test_documents_of_a_return_value_with_a_stored_list(results: OcrResults) -> None:
    with closing(open_store("results")) as store:
        other = Ledger(store.database, replace(CONFIG, prompt="free"), TASK)
        read(other, page(1, "other"), ref=SECOND)
        whole = DocumentLists(store.database).write_stored([1, 2], "documents of a task")
    returned = {
        "config_key": CONFIG.key,
        "document_ids": [1],
        "not_listed": {"document_ids": 1},
        "document_list": whole.as_dict(),
    }
    assert [each.id for each in results.documents_of(returned)] == [1, 2]
    both = results.documents_of([{"document_ids": [3]}, returned])
    assert [each.id for each in both] == [3, 1, 2]


def test_a_list_of_a_manifest_is_stored_in_parts_and_read_again(results: OcrResults) -> None:
    uris = [f"s3://b/{number}.pdf" for number in range(5)]
    parts = results.store_list((each for each in [*uris, REF.as_dict()]), batch_size=4)
    assert [(part["first"], part["count"]) for part in parts] == [(0, 4), (4, 2)]
    found = list(results.documents_of_list(parts))
    assert [each["uri"] for each in found] == [*uris, REF.uri]
    assert found[-1] == REF.as_dict()
    assert list(results.documents_of_list(parts[1])) == found[4:]
    assert list(results.documents_of_list([[REF.as_dict()], parts[0]])) == [found[-1], *found[:4]]
    for size in (0, -1, 1.5, "many"):
        with pytest.raises(ConfigurationError, match=r"batch_size is .*at least 1"):
            results.store_list(uris, batch_size=size)  # type: ignore[arg-type]
    # Batches of a sensor may name stored lists.
    again = results.store_list([[uris[0]], *parts[1:]])
    assert [each["uri"] for each in results.documents_of_list(again)] == [uris[0], uris[4], REF.uri]
    assert results.store_list([]) == []
    with pytest.raises(ConfigurationError, match="has no list"):
        results.store_list([parts[0] | {"document_list": "0" * 32}])
    with pytest.raises(ConfigurationError, match="documents is 7"):
        results.store_list([7])
