"""One replica: it reads, fails, waits and returns."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher
from airflow_deepseek_ocr.engines.balancing.page_dispatcher import PageDispatcher
from airflow_deepseek_ocr.engines.balancing.replica import Failure, HealthPolicy, Replica
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    ErrorCode,
    ServerUnreachableError,
)
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from tests.support.fakes.replica_engine import ReplicaEngine

AWAY = ServerUnreachableError("away")
WRONG_KEY = ConfigurationError(ErrorCode.SERVER_API_KEY, "wrong key")
QUICK = HealthPolicy(interval_s=0.02, silence_s=0.1, first_pause_s=0.02, max_pause_s=0.05)


def pages(count: int) -> list[PageRequest]:
    image = Image.new("RGB", (64, 64))
    return [
        PageRequest(key=each, image=image, prompt="free", resolution="base")
        for each in range(count)
    ]


@contextmanager
def running(
    engine: ReplicaEngine, count: int, health: HealthPolicy = QUICK
) -> Iterator[tuple[PageDispatcher, Replica, queue.SimpleQueue[Any]]]:
    reports: queue.SimpleQueue[Any] = queue.SimpleQueue()
    dispatchers: list[PageDispatcher] = []
    with Prefetcher(
        pages(count),
        lambda each: each,
        bound=1,
        on_ready=lambda: [each.wake() for each in dispatchers],
    ) as fetched:
        dispatcher = PageDispatcher(fetched, 1, reports, DEEPSEEK_OCR)
        dispatchers.append(dispatcher)
        replica = Replica(0, "first", engine, dispatcher, reports, health)
        replica.start()
        yield dispatcher, replica, reports
        dispatcher.stop()
        replica.end(10)


def until_end(reports: queue.SimpleQueue[Any]) -> list[Any]:
    """Return what was reported until the replica's thread ended."""
    found = []
    while (report := reports.get(timeout=10)) is not None:
        found.append(report)
    return found


def test_reads_all_pages_and_ends() -> None:
    with running(ReplicaEngine("first"), 5) as (dispatcher, _, reports):
        found = until_end(reports)
        assert dispatcher.over
    assert sorted(each.key for each in found) == [0, 1, 2, 3, 4]


def test_returns_after_a_failure_and_reads_its_pages_again() -> None:
    engine = ReplicaEngine("first")

    def fail_once(request: PageRequest) -> None:
        if request.key == 2 and engine.error is None:
            engine.before_output = lambda request: None
            engine.error = AWAY

    engine.before_output = fail_once
    with running(engine, 5) as (dispatcher, _, reports):
        found = []
        while not (found and isinstance(found[-1], Failure)):
            found.append(reports.get(timeout=10))
        assert found[-1] == Failure(0, AWAY)
        assert not found[-1].is_permanent
        assert not dispatcher.serving
        engine.error = None
        found += until_end(reports)
    outputs = [each for each in found if isinstance(each, PageOutput)]
    assert sorted(each.key for each in outputs) == [0, 1, 2, 3, 4]
    assert all(each.error is None for each in outputs)


def test_a_wrong_setting_is_permanent() -> None:
    engine = ReplicaEngine("first")
    engine.error = WRONG_KEY
    with running(engine, 1) as (_, _, reports):
        first = reports.get(timeout=10)
        assert first == Failure(0, WRONG_KEY)
        assert first.is_permanent


def test_a_server_that_does_not_respond_is_ejected_with_its_pages() -> None:
    engine = ReplicaEngine("first")
    engine.hangs.set()
    with running(engine, 1) as (dispatcher, _, reports):
        failure = reports.get(timeout=10)
        assert isinstance(failure, Failure)
        assert "has not responded for" in str(failure.error)
        assert dispatcher.outstanding(0) == 0
        engine.hangs.clear()
        assert [each.text for each in until_end(reports)] == ["first"]


def test_a_server_that_responds_keeps_a_page_that_takes_long() -> None:
    engine = ReplicaEngine("first", page_s=0.4)  # four times the silence
    with running(engine, 1) as (_, _, reports):
        assert [each.text for each in until_end(reports)] == ["first"]


def test_an_error_of_the_program_is_reported() -> None:
    engine = ReplicaEngine("first")

    def fail(request: PageRequest) -> None:
        raise ValueError("a fault")

    engine.before_output = fail
    with running(engine, 1) as (_, _, reports):
        assert isinstance(reports.get(timeout=10), ValueError)


def test_ends_soon_while_it_waits_to_return() -> None:
    engine = ReplicaEngine("first")
    engine.error = AWAY
    started = time.monotonic()
    with running(engine, 1, HealthPolicy(first_pause_s=60)) as (_, _, reports):
        assert isinstance(reports.get(timeout=10), Failure)
    assert time.monotonic() - started < 10
