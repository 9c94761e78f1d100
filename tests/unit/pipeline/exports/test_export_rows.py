"""Rows of exported files that share a transaction."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.pipeline.exports import export_rows
from airflow_deepseek_ocr.pipeline.exports.export_rows import ExportRows
from airflow_deepseek_ocr.store.pages.exported_documents import ExportedFile
from airflow_deepseek_ocr.store.results_store import Store
from tests.support.waiting import eventually

FILE = ExportedFile("text", None, "document.txt", "s3://x/document.txt", "text/plain", 3, "ab")


def test_documents_that_wait_share_the_next_transaction(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go, written = threading.Event(), threading.Event(), list[list[int]]()

    def write(_: Any, documents: Sequence[tuple[int, Any]]) -> None:
        began.set()
        assert go.wait(20)
        written.append(sorted(number for number, _ in documents))

    monkeypatch.setattr(export_rows, "write_exports", write)
    rows = ExportRows(store.database)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(rows.write, 1, [FILE])]
        assert began.wait(20)
        futures += [pool.submit(rows.write, number, [FILE]) for number in (2, 3, 4)]
        eventually(lambda: len(rows._calls._waiting) == 3)
        go.set()
        for future in futures:
            future.result(20)
    assert written == [[1], [2, 3, 4]]


def test_each_document_of_a_transaction_that_fails_gets_its_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = [True]

    def write(*_: Any) -> None:
        if failing:
            raise DatabaseError(ErrorCode.DATABASE_FULL, "The disk is full; free space.")

    monkeypatch.setattr(export_rows, "write_exports", write)
    rows = ExportRows(store.database)
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(rows.write, number, [FILE]) for number in range(3)]
        assert all(isinstance(each.exception(20), DatabaseError) for each in futures)
    failing.clear()
    rows.write(1, [FILE])
