"""New, due and abandoned documents, in a listing without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.connection.options import DiscoveryOptions
from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile
from airflow_deepseek_ocr.pipeline.discovery import MAX_LIST_BYTES, Discovery
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.lists.document_lists import DocumentLists
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentListRow
from tests.support.fixtures.stored_documents import (
    ACCESS_DENIED,
    CONFIG,
    TASK,
    claim,
    page,
    read,
    run_out,
)

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class Listed:
    """An S3 client whose bucket has these keys."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys

    def get_paginator(self, _operation: str) -> Listed:
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        for key in self._keys:
            yield {
                "Contents": [{"Key": key, "ETag": f'"e-{key}"', "Size": 1, "LastModified": MOMENT}]
            }


def ref(key: str) -> DocumentRef:
    return DocumentRef(f"s3://b/{key}", f"e-{key}", etag=f"e-{key}", size=1, last_modified=MOMENT)


def keys(batches: Sequence[list[DocumentRef] | ListSlice]) -> list[list[str]]:
    return [
        [each.uri.removeprefix("s3://b/") for each in batch]
        for batch in batches
        if isinstance(batch, list)
    ]


def discovery(**options: Any) -> Discovery:
    return Discovery(DiscoveryOptions(bucket="b", **options), CONFIG.key)


def test_a_search_is_bounded_in_bytes_and_the_rest_follows(store: Store) -> None:
    """The longest keys of S3, in a script whose characters take six bytes in JSON."""
    names = [f"{number:04}{'文' * 338}.pdf" for number in range(1100)]
    many = discovery(batch_size=16, max_documents=100_000)
    first = many.find(Listed(*names), store)
    found = [each for batch in first for each in batch]
    size = len(json.dumps([[each.as_dict() for each in batch] for batch in first]))
    assert 0.95 * MAX_LIST_BYTES < size < MAX_LIST_BYTES + 3000
    emitted = {each.version_key: 0.0 for each in found}
    rest = many.find(Listed(*names), store, emitted)
    uris = [each.uri.removeprefix("s3://b/") for batch in (*first, *rest) for each in batch]
    assert uris == names[: len(uris)]
    assert len(uris) > len(found)


def test_more_documents_than_an_xcom_should_hold_become_a_stored_list(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_deepseek_ocr.pipeline.discovery.MAX_LIST_BYTES", 500)
    names = [f"{number:04}.pdf" for number in range(60)]
    claim(Ledger(store.database, CONFIG, TASK), ref("dead.pdf"))
    run_out(store)
    lists, found = DocumentLists(store.database), list[str]()
    many = discovery(batch_size=16, max_documents=50)
    parts = many.find(Listed(*names), store, lists=lists, found=found)
    assert [(part.first, part.count) for part in parts if isinstance(part, ListSlice)] == [
        (0, 16),
        (16, 16),
        (32, 16),
        (48, 2),
    ]
    expected = [ref(name) for name in ["dead.pdf", *names][:50]]
    documents = [each for part in parts if isinstance(part, ListSlice) for each in lists.read(part)]
    assert documents == expected
    assert found == [each.version_key for each in expected]
    rest = many.find(Listed(*names), store, dict.fromkeys(found, 0.0), lists=lists)
    assert [part.count for part in rest if isinstance(part, ListSlice)] == [11]

    # Their names are bounded as well.
    monkeypatch.setattr("airflow_deepseek_ocr.pipeline.discovery._MAX_PARTS", 3)
    parts = many.find(Listed(*names), store, lists=lists)
    assert [part.count for part in parts if isinstance(part, ListSlice)] == [17, 17, 16]


def test_few_documents_are_no_stored_list(store: Store) -> None:
    found = list[str]()
    lists = DocumentLists(store.database)
    batches = discovery().find(Listed("1.pdf", "2.pdf"), store, lists=lists, found=found)
    assert batches == [[ref("1.pdf"), ref("2.pdf")]]
    assert found == [ref("1.pdf").version_key, ref("2.pdf").version_key]
    with Session(store.database.engine) as session:
        assert session.scalar(select(func.count()).select_from(DocumentListRow)) == 0


@pytest.mark.parametrize("refused", ["delete_expired", "_add"])
def test_without_the_right_to_store_a_list_the_rest_follows_later(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refused: str
) -> None:
    monkeypatch.setattr("airflow_deepseek_ocr.pipeline.discovery.MAX_LIST_BYTES", 500)
    code = ErrorCode.DATABASE_RIGHTS

    def refuse(*_: Any) -> None:
        raise DatabaseError(code, "no right")

    monkeypatch.setattr(DocumentLists, refused, refuse)
    names = [f"{number:04}.pdf" for number in range(60)]
    lists, found = DocumentLists(store.database), list[str]()
    first = discovery().find(Listed(*names), store, lists=lists, found=found)
    assert 0 < len(found) < len(names)
    assert keys(first) == [names[: len(found)]]
    assert "follow at a later search. no right" in caplog.text
    code = ErrorCode.DATABASE_UNAVAILABLE
    with pytest.raises(DatabaseError):
        discovery().find(Listed(*names), store, lists=lists)


def test_the_default_number_of_documents_fits(store: Store) -> None:
    names = [f"{number:04}{'k' * 196}.pdf" for number in range(1100)]
    assert sum(map(len, discovery().find(Listed(*names), store))) == 1024


def test_one_document_is_found_whatever_its_size(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_deepseek_ocr.pipeline.discovery.MAX_LIST_BYTES", 10)
    assert keys(discovery().find(Listed("1.pdf", "2.pdf"), store)) == [["1.pdf"]]


def test_new_documents_come_in_batches_up_to_a_limit(store: Store) -> None:
    client = Listed("1.pdf", "2.pdf", "3.pdf", "4.pdf", "notes.txt")
    found = discovery(batch_size=2, max_documents=3).find(client, store)
    assert keys(found) == [["1.pdf", "2.pdf"], ["3.pdf"]]
    assert found[0][0] == ref("1.pdf")


def test_versions_that_need_no_work_are_left_out(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, TASK)
    read(ledger, page(1), ref=ref("done.pdf"))
    claim(ledger, ref("running.pdf"))
    client = Listed("done.pdf", "new.pdf", "running.pdf")
    assert keys(discovery().find(client, store)) == [["new.pdf"]]
    other = Discovery(DiscoveryOptions(bucket="b"), replace(CONFIG, prompt="free").key)
    assert keys(other.find(client, store)) == [["done.pdf", "new.pdf", "running.pdf"]]


def test_abandoned_versions_come_first_even_if_they_are_not_listed(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, TASK)
    for key in ("gone.pdf", "other.txt", "z.pdf"):
        claim(ledger, ref(key))
    run_out(store)
    found = keys(discovery().find(Listed("new.pdf", "z.pdf"), store))
    assert [sorted(found[0][:2]), found[0][2:]] == [["gone.pdf", "z.pdf"], ["new.pdf"]]


def test_retryable_failures_are_found_when_they_are_due(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, TASK)
    ledger.fail(claim(ledger, ref("a.pdf")), failure(ACCESS_DENIED))
    client = Listed("a.pdf")
    assert discovery().find(client, store) == []
    soon = discovery(retry_failed_after=timedelta(0))
    assert keys(soon.find(client, store)) == [["a.pdf"]]


def test_attached_files_are_found_by_the_key_of_their_document(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, TASK)
    attached = [AttachedFile(1, "dead.dat"), AttachedFile(2, "failed.pdf")]
    dead, failed = ref("c.pdf").attachments(attached)
    claim(ledger, dead)
    run_out(store)
    ledger.fail(claim(ledger, failed), failure(ACCESS_DENIED))
    (elsewhere,) = ref("c.txt").attachments(attached[1:])
    ledger.fail(claim(ledger, elsewhere), failure(ACCESS_DENIED))
    assert discovery().find(Listed(), store) == [[dead]]
    soon = discovery(retry_failed_after=timedelta(0))
    assert soon.find(Listed(), store) == [[dead, failed]]


def test_emitted_versions_are_left_out_unless_they_became_due_again(store: Store) -> None:
    client = Listed("new.pdf")
    emitted = {ref("new.pdf").version_key: 5.0, ref("dead.pdf").version_key: 5.0}
    assert discovery().find(client, store, emitted) == []
    claim(Ledger(store.database, CONFIG, TASK), ref("dead.pdf"))
    run_out(store)
    # Its lease expired a second ago, after it was emitted.
    assert keys(discovery().find(client, store, emitted)) == [["dead.pdf"]]
    assert discovery().find(client, store, dict.fromkeys(emitted, 0.0)) == []
