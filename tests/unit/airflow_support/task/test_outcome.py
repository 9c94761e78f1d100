"""The end of a task by the summary of its documents."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from sqlalchemy import create_engine

from airflow_deepseek_ocr.airflow_support.task.outcome import raise_for, return_value
from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.lists.document_lists import DocumentLists
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.stored_documents import CONFIG, REF, TASK, page, read


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(create_engine(f"sqlite:///{tmp_path}/results.db"))) as opened:
        opened.ensure_schema()
        yield opened


def end(summary: Summary, *, waits: bool = True, fails: bool = False) -> None:
    raise_for(summary, max_failed_pages=0.5, waits_for_others=waits, fail_on_document_errors=fails)


@pytest.mark.parametrize(
    ("lists", "fails"),
    [
        (("retryable",), False),
        (("leased_by_others",), False),
        (("over_budget",), False),
        (("failed",), True),
        (("failed", "documents"), False),
    ],
)
def test_messages_about_documents_are_bounded(lists: tuple[str, ...], fails: bool) -> None:
    """100,000 documents with the longest keys of S3."""
    uris = [f"s3://bucket/{number:06}/{'k' * 1000}" for number in range(100_000)]
    summary = Summary()
    for name in lists:
        reasons = dict.fromkeys(uris, "s3_uri")
        value = {"documents": Counter(failed=len(uris)), "retryable": uris}.get(name, reasons)
        setattr(summary, name, value)
    with pytest.raises(AirflowException) as caught:
        end(summary, fails=fails)
    assert len(str(caught.value)) < 5000
    assert uris[0][:200] in str(caught.value)


def test_missing_exports_fail_the_task_with_their_reason_and_a_retry_makes_them() -> None:
    reasons = {"s3://b/a.pdf": "access_denied: grant s3:PutObject"}
    with pytest.raises(AirflowException, match=r"a retry makes the missing exports") as failed:
        end(Summary(failed_exports=reasons))
    assert not isinstance(failed.value, AirflowFailException)
    assert "s3://b/a.pdf" in str(failed.value)
    assert "access_denied" in str(failed.value)


@pytest.mark.parametrize(
    "lists",
    [{}, {"failed": {"s3://b/a.pdf": "damaged"}}, {"leased_by_others": {"s3://b/a.pdf": "x"}}],
)
def test_documents_that_fail_or_are_left_to_others_are_no_failure_by_default(
    lists: dict[str, Any],
) -> None:
    end(Summary(documents=Counter(done=1, failed=1), **lists), waits=False)


def test_a_failure_that_a_retry_mends_comes_before_one_that_it_does_not() -> None:
    summary = Summary(retryable=["s3://b/a\n.pdf"], over_budget={"s3://b/b.pdf": "9 of 9"})
    with pytest.raises(AirflowException, match="A retry reads only these") as caught:
        end(summary)
    assert r"s3://b/a\n.pdf" in str(caught.value)
    assert not isinstance(caught.value, AirflowFailException)
    with pytest.raises(AirflowFailException, match=r"max_failed_pages=0\.5"):
        end(Summary(over_budget=summary.over_budget))


def test_more_ids_than_an_xcom_should_hold_are_a_stored_list(store: Store) -> None:
    lists = DocumentLists(store.database)
    few = Summary(document_ids=[2, 1])
    assert return_value(few, lists) == few.as_dict()
    assert "document_list" not in few.as_dict()
    read(Ledger(store.database, CONFIG, TASK), page(1))
    many = Summary(config_key=CONFIG.key, document_ids=[1, *range(1, 5_002)])
    returned = return_value(many, lists)
    assert returned["not_listed"] == {"document_ids": 1}
    (found,) = lists.read(ListSlice.of(returned["document_list"]))
    assert (found.uri, found.version) == (REF.uri, REF.version)
    assert len(json.dumps(returned)) < 100_000


def test_without_the_right_to_store_a_list_the_task_has_read_its_documents_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    code = ErrorCode.DATABASE_RIGHTS

    def refuse(*_: Any) -> None:
        raise DatabaseError(code, "no right")

    monkeypatch.setattr(DocumentLists, "delete_expired", refuse)
    many = Summary(document_ids=list(range(1, 5_003)))
    assert return_value(many, DocumentLists(store.database)) == many.as_dict()
    assert "5,002 document ids" in caplog.text
    assert "leaves out 2 of them. no right" in caplog.text
    code = ErrorCode.DATABASE_UNAVAILABLE
    with pytest.raises(DatabaseError):
        return_value(many, DocumentLists(store.database))
