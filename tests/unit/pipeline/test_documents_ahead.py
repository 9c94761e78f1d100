"""Documents are fetched ahead: at the same time, a bounded number, and errors reach the taker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.document_copies import DocumentCopies
from airflow_deepseek_ocr.pipeline.document_queue import DocumentQueue
from airflow_deepseek_ocr.pipeline.documents_ahead import AHEAD, DocumentsAhead
from airflow_deepseek_ocr.pipeline.in_flight import FetchedDocument
from airflow_deepseek_ocr.pipeline.reports.capped_lines import CappedLines
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.fixtures.stored_documents import CONFIG, TASK
from tests.support.waiting import eventually

LINES = CappedLines(logging.getLogger(__name__))

Fetch = Callable[[FetchedDocument], bool]


def refs(number: int) -> list[DocumentRef]:
    return [DocumentRef(f"s3://b/{each}", "v", None, "v", 10) for each in range(number)]


@contextmanager
def ahead(
    store: Store, directory: Path, fetch: Fetch, number: int, most_bytes: int = 1 << 20
) -> Iterator[DocumentsAhead]:
    queue = DocumentQueue(
        refs(number),
        Ledger(store.database, CONFIG, TASK),
        LINES,
        overwrite=False,
    )
    copies = DocumentCopies(directory, most_bytes)

    def write(document: FetchedDocument) -> bool:
        document.path.write_bytes(bytes(10))
        return fetch(document)

    documents = DocumentsAhead(queue, write, copies, lambda: None)
    documents.copies = copies  # type: ignore[attr-defined]
    try:
        yield documents
    finally:
        documents.close()


def take_all(documents: DocumentsAhead) -> list[str]:
    taken = []

    def take() -> bool:
        while (document := documents.take()) is not None:
            taken.append(document.ref.uri)
        return documents.is_over

    eventually(take)
    return taken


def test_every_document_is_fetched_once(store: Store, tmp_path: Path) -> None:
    with ahead(store, tmp_path, lambda _: True, 30) as documents:
        assert not documents.is_over
        assert sorted(take_all(documents)) == sorted(each.uri for each in refs(30))


def test_an_empty_queue_is_over(store: Store, tmp_path: Path) -> None:
    with ahead(store, tmp_path, lambda _: True, 0) as documents:
        assert documents.take() is None
        assert documents.is_over


def test_documents_are_fetched_at_the_same_time_and_no_more_than_the_bound(
    store: Store, tmp_path: Path
) -> None:
    together = threading.Barrier(AHEAD, timeout=60)
    fetched, tickets = [], count()

    def fetch(document: FetchedDocument) -> bool:
        if next(tickets) < AHEAD:
            together.wait()
        fetched.append(document)
        return True

    with ahead(store, tmp_path, fetch, 3 * AHEAD) as documents:
        first = documents.take()
        eventually(lambda: len(fetched) == AHEAD + (first is not None))
        for _ in range(20):
            assert len(fetched) <= AHEAD + 1
        assert len(list(tmp_path.glob("document-*"))) <= AHEAD + 1


def test_documents_that_are_not_processed_leave_no_copy(store: Store, tmp_path: Path) -> None:
    with ahead(store, tmp_path, lambda document: document.ref.uri.endswith("3"), 9) as documents:
        assert take_all(documents) == ["s3://b/3"]
        assert len(list(tmp_path.glob("document-*"))) == 1


def test_fetching_waits_for_room_on_the_disk(store: Store, tmp_path: Path) -> None:
    with ahead(store, tmp_path, lambda _: True, 4, most_bytes=25) as documents:
        taken: list[FetchedDocument] = []

        def has_two() -> bool:
            while (document := documents.take()) is not None:
                taken.append(document)
            return len(taken) == 2

        eventually(has_two)
        assert documents.take() is None
        assert not documents.is_over
        for each in taken[:]:
            documents.copies.remove(each.path)  # type: ignore[attr-defined]
            documents.room_changed()
        taken.clear()
        eventually(has_two)


def test_an_error_ends_the_fetching_and_is_raised(store: Store, tmp_path: Path) -> None:
    def fail(_: FetchedDocument) -> bool:
        raise DatabaseError(ErrorCode.DATABASE_UNAVAILABLE, "gone")

    with ahead(store, tmp_path, fail, 30) as documents:

        def raises() -> bool:
            try:
                documents.take()
            except DatabaseError:
                return True
            return False

        eventually(raises)
        assert not documents.is_over
        with pytest.raises(DatabaseError):
            documents.take()


def test_closing_returns_what_was_not_taken(store: Store, tmp_path: Path) -> None:
    with ahead(store, tmp_path, lambda _: True, 3) as documents:
        first = None
        while first is None:
            first = documents.take()
        eventually(lambda: len(documents._ready) == 2)
        left = {each.ref.uri for each in documents.close()}
    assert len(left) == 2
    assert first.ref.uri not in left
