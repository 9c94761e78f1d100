"""Unfinished documents are resumed: retries, other tasks, versions that come back."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pikepdf
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.connection.options import DiscoveryOptions
from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from airflow_deepseek_ocr.ocr.results import PageResult, PageStatus
from airflow_deepseek_ocr.pipeline.discovery import Discovery
from airflow_deepseek_ocr.pipeline.error_budget import ErrorBudget
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import forget
from airflow_deepseek_ocr.store.leases import Lease
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow
from tests.support.fakes.batch_engine import (
    CONFIG,
    DOCUMENTS,
    SHORT,
    A,
    B,
    FakeEngine,
    refs_of,
    rows,
)


def test_a_retry_processes_only_the_missing_pages(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store, engine: FakeEngine
) -> None:
    refs = refs_of(client, bucket, "a.tiff", "b.tiff")

    def die_at_the_fourth(request: PageRequest) -> None:
        if engine.pages == 3:
            raise RuntimeError("the process dies")

    engine.before = die_at_the_fourth
    with pytest.raises(RuntimeError):
        pipeline(task=A).run(refs)
    # Pages come in any order, but three of two times two pages are at least one whole document.
    assert sorted(rows(store).values()) == [("done", None, False), ("processing", None, False)]
    engine.before = lambda request: None

    summary = pipeline(task=replace(A, try_number=2)).run(refs)

    assert summary.documents == {"skipped": 1, "done": 1}
    assert (summary.pages, summary.pages_resumed, engine.pages) == (1, 1, 4)
    assert rows(store) == dict.fromkeys(("a.tiff", "b.tiff"), ("done", None, False))


def test_all_pages_read_but_not_completed(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store, engine: FakeEngine
) -> None:
    (ref,) = refs_of(client, bucket, "a.tiff")
    dying = Ledger(store.database, CONFIG, A, SHORT)
    lease = dying.claim(ref)
    assert isinstance(lease, Lease)
    for number in (1, 2):
        dying.write_page(lease, PageResult(number=number, status=PageStatus.OK, resolution="small"))
    assert pipeline(task=B).run([ref]).documents == {"done": 1}
    assert engine.pages == 0


@pytest.mark.parametrize("ends", ["finishes", "dies", "continues"])
def test_documents_leased_by_another_task_are_waited_for(
    client: Any,
    bucket: str,
    pipeline: Callable[..., Pipeline],
    store: Store,
    engine: FakeEngine,
    ends: str,
) -> None:
    mine, theirs = refs_of(client, bucket, "a.tiff", "b.tiff")
    other = Ledger(store.database, CONFIG, A, timedelta(hours=1) if ends != "dies" else SHORT)
    lease = other.claim(theirs)
    assert isinstance(lease, Lease)
    other.write_page(lease, PageResult(number=1, status=PageStatus.OK, resolution="small"))

    def finish() -> None:
        other.write_page(lease, PageResult(number=2, status=PageStatus.OK, resolution="small"))
        other.complete(lease, media_type="image/tiff", page_count=2, pages=2)

    timer = Timer(1, finish if ends == "finishes" else lambda: None)
    timer.start()
    summary = pipeline(task=B, lease=SHORT, wait_for_others=2 * SHORT).run([theirs, mine])
    timer.join()

    if ends == "finishes":
        assert summary.documents == {"done": 1, "skipped": 1}
    elif ends == "dies":
        assert summary.documents == {"done": 2}
        assert (summary.pages, summary.pages_resumed) == (3, 1)
    else:
        assert summary.documents == {"done": 1, "leased_by_others": 1}
        assert summary.leased_by_others == {theirs.uri: "dag, a, read[0], try 1"}
    assert engine.pages == (3 if ends == "dies" else 2)


def test_the_end_of_another_tasks_document_is_noticed(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    """The task polls documents that others lease, and does not wait until its deadline."""
    (ref,) = refs_of(client, bucket, "a.tiff")
    other = Ledger(store.database, CONFIG, A)
    lease = other.claim(ref)
    assert isinstance(lease, Lease)
    ended = Event()

    def finish() -> None:
        for number in (1, 2):
            other.write_page(
                lease, PageResult(number=number, status=PageStatus.OK, resolution="small")
            )
        other.complete(lease, media_type="image/tiff", page_count=2, pages=2)
        ended.set()

    timer = Timer(1, finish)
    timer.start()
    summary = pipeline(task=B).run([ref])
    timer.join()
    assert summary.documents == {"skipped": 1}
    assert ended.is_set()


def test_documents_leased_by_another_task_may_be_left_to_it(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    (ref,) = refs_of(client, bucket, "a.tiff")
    Ledger(store.database, CONFIG, A).claim(ref)
    assert pipeline(task=B, wait_for_others=None).run([ref]).documents == {"leased_by_others": 1}


def test_a_task_whose_document_was_reclaimed_writes_nothing_more(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store, engine: FakeEngine
) -> None:
    (ref,) = refs_of(client, bucket, "a.tiff")

    def reclaim(request: PageRequest) -> None:
        engine.before = lambda request: None
        with store.database.engine.begin() as connection:
            connection.execute(update(DocumentRow).values(lease_expires_at=None))
        assert pipeline(task=B).run([ref]).documents == {"done": 1}

    engine.before = reclaim
    assert pipeline(task=A, lease=SHORT).run([ref]).documents == {"skipped": 1}
    with Session(store.database.engine) as session:
        assert session.scalars(select(DocumentRow.run_id)).all() == ["b"]
        assert session.scalars(select(PageRow.page_number)).all() == [1, 2]


def test_pages_stored_before_the_model_failed_are_kept(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store, engine: FakeEngine
) -> None:
    (ref,) = refs_of(client, bucket, "a.tiff")

    def fail_at_the_second(request: PageRequest) -> None:
        if engine.pages == 1:
            raise UnavailableError("model_unavailable", "gone")

    engine.before = fail_at_the_second
    with pytest.raises(UnavailableError):
        pipeline().run([ref])
    assert rows(store) == {"a.tiff": ("failed", "model_unavailable", True)}
    engine.before = lambda request: None
    summary = pipeline().run([ref])
    assert (summary.pages, summary.pages_resumed) == (1, 1)


def test_a_retry_remembers_what_was_over_the_budget(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], engine: FakeEngine, tmp_path: Path
) -> None:
    with pikepdf.new() as pdf:
        for width in (100, 300, 100):
            pdf.add_blank_page(page_size=(width, 100))
        pdf.save(tmp_path / "three.pdf")
    client.upload_file(str(tmp_path / "three.pdf"), bucket, "three.pdf")
    ref, engine.endless_width = DocumentRef(f"s3://{bucket}/three.pdf"), 300
    expected = {ref.uri: "1 of 3"}
    assert pipeline(task=A).run([ref]).over_budget == expected
    assert pipeline(task=replace(A, try_number=2)).run([ref]).over_budget == expected
    assert pipeline(task=B).run([ref]).over_budget == {}
    assert pipeline(budget=ErrorBudget(1), overwrite=True).run([ref]).over_budget == {}


def test_an_older_version_that_comes_back_is_read(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    (first,) = refs_of(client, bucket, "a.tiff")
    client.upload_file(str(DOCUMENTS / "table.png"), bucket, "a.tiff")
    pipeline().run([first])
    again = refs_of(client, bucket, "a.tiff")
    assert again == [replace(first, last_modified=again[0].last_modified)]
    listing = Discovery(DiscoveryOptions(bucket=bucket, retry_failed_after=0))
    assert [[ref.version for ref in batch] for batch in listing.find(client, store)] == [
        [first.version]
    ]
    pipeline().run(again)
    assert rows(store) == {"a.tiff": ("done", None, False)}


def test_documents_of_dead_tasks_are_found_even_if_they_are_not_listed(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store
) -> None:
    old = refs_of(client, bucket, "a.tiff", "b.tiff")
    ledger = Ledger(store.database, CONFIG, A, timedelta(milliseconds=100))
    for ref in old:
        ledger.claim(ref)
    client.upload_file(str(DOCUMENTS / "table.png"), bucket, "a.tiff")
    time.sleep(0.2)
    find = Discovery(DiscoveryOptions(bucket=bucket)).find
    (batch,) = find(client, store)
    assert [ref.uri[-6:] for ref in batch] == ["a.tiff", "b.tiff", "a.tiff"]
    assert {ref.version for ref in batch[:2]} == {ref.version for ref in old}
    # Emitted before its task died: emitted again. Emitted afterwards: left out.
    long_ago, now = (dict.fromkeys([ref.version_key for ref in batch], s) for s in (60.0, 0.0))
    assert [len(each) for each in find(client, store, long_ago)] == [2]
    assert find(client, store, now) == []
    assert Discovery(DiscoveryOptions(bucket=bucket, prefix="b")).find(client, store) == [[old[1]]]
    pipeline().run(batch)
    assert rows(store)["b.tiff"] == ("done", None, False)
    with Session(store.database.engine) as session:
        ends = session.execute(
            select(DocumentRow.version, DocumentRow.status).where(DocumentRow.uri.like("%/a.tiff"))
        ).all()
    assert dict(map(tuple, ends)) == {old[0].version: "failed", batch[2].version: "done"}


def test_temporary_files_are_removed_after_a_failure(
    client: Any,
    bucket: str,
    pipeline: Callable[..., Pipeline],
    engine: FakeEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    client.upload_file(str(DOCUMENTS / "letter.tiff"), bucket, "a.tiff")
    pipeline().run([DocumentRef(f"s3://{bucket}/a.tiff")])

    def fail(request: PageRequest) -> None:
        raise RuntimeError("the process is stopped")

    engine.before = fail
    with pytest.raises(RuntimeError):
        pipeline(overwrite=True).run([DocumentRef(f"s3://{bucket}/a.tiff")])
    gc.collect()
    assert list(tmp_path.glob("deepseek-ocr-*")) == []


def test_a_document_that_is_forgotten_meanwhile_is_not_stored_again(
    client: Any, bucket: str, pipeline: Callable[..., Pipeline], store: Store, engine: FakeEngine
) -> None:
    refs = refs_of(client, bucket, "a.tiff", "b.tiff")

    def forget_the_first(request: PageRequest) -> None:
        for found in find(store.database, Selection(uris=(refs[0].uri,))):
            forget(store.database, found.document_key, force=True)

    engine.before = forget_the_first
    summary = pipeline(task=A, wait_for_others=timedelta(seconds=20)).run(refs)
    assert summary.documents == {"done": 1, "forgotten": 1}
    assert summary.leased_by_others == {}
    assert rows(store) == {"b.tiff": ("done", None, False)}
