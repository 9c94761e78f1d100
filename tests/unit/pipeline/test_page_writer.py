"""Pages that end within a moment share a batch; nothing is lost, and errors reach the pipeline."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.pipeline.in_flight import InFlightDocument
from airflow_deepseek_ocr.pipeline.page_writer import BATCH_PAGES, Finished, PageWriter
from tests.support.fixtures.stored_documents import page
from tests.support.waiting import eventually

DOCUMENT = cast("InFlightDocument", object())
LONG_S = 600.0


class Stored:
    """Notes batches; can wait or fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self.error: Exception | None = None

    def __call__(self, pages: Sequence[Finished]) -> None:
        assert self.may_write.wait(60)
        if self.error is not None:
            raise self.error
        self.batches.append([result.number for _, result in pages])

    @property
    def numbers(self) -> list[int]:
        return [number for batch in self.batches for number in batch]


def put(writer: PageWriter, *numbers: int) -> None:
    for number in numbers:
        writer.put(DOCUMENT, page(number))


def test_pages_of_a_moment_share_a_batch_in_their_order() -> None:
    stored = Stored()
    with PageWriter(stored, batch_s=LONG_S) as writer:
        put(writer, 1, 2, 3)
        assert stored.batches == []
    assert stored.batches == [[1, 2, 3]]


def test_a_page_does_not_wait_longer_than_the_moment() -> None:
    stored = Stored()
    with PageWriter(stored, batch_s=0.01) as writer:
        put(writer, 1)
        eventually(lambda: stored.batches == [[1]])


def test_a_full_batch_does_not_wait() -> None:
    stored = Stored()
    with PageWriter(stored, batch_s=LONG_S) as writer:
        put(writer, *range(1, BATCH_PAGES + 2))
        eventually(lambda: len(stored.batches) == 1)
        assert len(stored.batches[0]) == BATCH_PAGES
    assert stored.numbers == list(range(1, BATCH_PAGES + 2))


def test_pages_wait_while_the_database_does_not_answer() -> None:
    stored = Stored()
    stored.may_write.clear()
    count = 6 * BATCH_PAGES
    with PageWriter(stored, batch_s=0.0) as writer:
        producer = threading.Thread(target=put, args=(writer, *range(1, count + 1)))
        producer.start()
        eventually(lambda: len(writer._waiting) == 4 * BATCH_PAGES)
        assert producer.is_alive()
        stored.may_write.set()
        producer.join(60)
    assert stored.numbers == list(range(1, count + 1))


@pytest.mark.parametrize("call", ["put", "exit"])
def test_an_error_is_raised_by_the_next_call(call: str) -> None:
    stored = Stored()
    stored.error = DatabaseError(ErrorCode.DATABASE_UNAVAILABLE, "gone")

    def work() -> None:
        with PageWriter(stored, batch_s=0.0) as writer:
            put(writer, 1)
            if call == "put":
                eventually(lambda: writer._error)
                put(writer, 2)

    with pytest.raises(DatabaseError, match="gone"):
        work()
    assert stored.batches == []


def test_an_error_of_the_pipeline_is_not_replaced_and_pages_are_stored() -> None:
    stored = Stored()

    def work(writer: Any) -> None:
        with writer:
            put(writer, 1)
            raise RuntimeError("the engine dies")

    with pytest.raises(RuntimeError, match="the engine dies"):
        work(PageWriter(stored, batch_s=LONG_S))
    assert stored.batches == [[1]]
