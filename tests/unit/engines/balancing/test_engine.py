"""The balanced engine: pages over replicas that fail and return."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.balancing.engine import BalancedEngine, NamedEngine
from airflow_deepseek_ocr.engines.balancing.replica import HealthPolicy
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    ErrorCode,
    ServerUnreachableError,
)
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest, Progress
from tests.support.fakes.replica_engine import ReplicaEngine

IMAGE = Image.new("RGB", (64, 64))
AWAY = ServerUnreachableError("away")
WRONG_KEY = ConfigurationError(ErrorCode.SERVER_API_KEY, "wrong key")
QUICK = HealthPolicy(interval_s=0.02, silence_s=0.1, first_pause_s=0.02, max_pause_s=0.05)


def pages(count: int) -> list[PageRequest]:
    return [
        PageRequest(key=each, image=IMAGE, prompt="free", resolution="base")
        for each in range(count)
    ]


def balanced(*engines: ReplicaEngine, progress_interval_s: float = 5.0) -> BalancedEngine:
    return BalancedEngine(
        [NamedEngine(each.name, each) for each in engines],
        health=QUICK,
        progress_interval_s=progress_interval_s,
    )


def test_pages_are_spread_evenly_over_equal_replicas() -> None:
    engines = [ReplicaEngine(name, room=8, page_s=0.01) for name in "abcd"]
    outputs = list(balanced(*engines).read(pages(80)))
    assert sorted(each.key for each in outputs) == list(range(80))
    for each in engines:
        assert 14 <= len(each.read_keys) <= 26


def test_few_pages_do_not_fill_one_replica_first() -> None:
    engines = [ReplicaEngine(name, room=100, page_s=2.0) for name in "abcd"]

    def slowly() -> Iterator[PageRequest]:
        for each in pages(8):
            time.sleep(0.1)  # all replicas wait for the next page then
            yield each

    list(balanced(*engines).read(slowly()))
    assert all(1 <= len(each.read_keys) <= 3 for each in engines)


def test_a_faster_replica_reads_more() -> None:
    slow, fast = ReplicaEngine("slow", page_s=0.05), ReplicaEngine("fast", page_s=0.005)
    list(balanced(slow, fast).read(pages(60)))
    assert len(fast.read_keys) > 2 * len(slow.read_keys)


def test_nothing_is_lost_or_doubled_while_replicas_fail_again_and_again() -> None:
    randomness = random.Random(3)
    engines = [ReplicaEngine(name, room=8, page_s=0.005) for name in "abc"]
    ended = threading.Event()

    def fail_in_turn() -> None:
        while not ended.wait(0.03):
            engine = randomness.choice(engines[1:])
            engine.error = AWAY
            ended.wait(0.02)
            engine.error = None

    saboteur = threading.Thread(target=fail_in_turn)
    saboteur.start()
    try:
        outputs = list(balanced(*engines).read(pages(400)))
    finally:
        ended.set()
        saboteur.join()
    assert sorted(each.key for each in outputs) == list(range(400))
    given_up = [each for each in outputs if each.error is not None]
    assert all(each.error is AWAY for each in given_up)
    assert len(given_up) < 8  # a page that met three failures


def test_a_replica_that_is_away_from_the_beginning_is_left_out() -> None:
    first, second = ReplicaEngine("first"), ReplicaEngine("second")
    first.error = AWAY
    engine = balanced(first, second)
    assert engine.modes() == ("base",)
    assert {each.text for each in engine.read(pages(20))} == {"second"}


def test_the_errors_of_all_replicas_end_the_reading() -> None:
    first, second = ReplicaEngine("first"), ReplicaEngine("second")
    first.error = second.error = AWAY
    engine = balanced(first, second)
    with pytest.raises(ServerUnreachableError):
        engine.modes()
    with pytest.raises(ServerUnreachableError):
        list(engine.read(pages(3)))


def test_a_wrong_setting_of_one_replica_is_logged_and_the_others_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = ReplicaEngine("first"), ReplicaEngine("second", page_s=0.01)
    first.error = WRONG_KEY
    with caplog.at_level("WARNING"):
        outputs = list(balanced(first, second).read(pages(8)))
    assert {each.text for each in outputs} == {"second"}
    assert "first failed: wrong key Its pages are read by the others." in caplog.text


def test_modes_are_those_that_all_replicas_have() -> None:
    both = balanced(
        ReplicaEngine("a", modes=("tiny", "base")), ReplicaEngine("b", modes=("base", "gundam"))
    )
    assert both.modes() == ("base",)
    with pytest.raises(ConfigurationError) as raised:
        balanced(ReplicaEngine("a", modes=("tiny",)), ReplicaEngine("b", modes=("base",))).modes()
    assert raised.value.code == ErrorCode.SERVER_MODE


def test_a_closed_reading_ends_its_replicas() -> None:
    engines = [ReplicaEngine(name, page_s=0.01) for name in "ab"]
    before = threading.active_count()
    outputs = balanced(*engines).read(pages(1000))
    next(outputs)
    outputs.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
    assert sum(len(each.read_keys) for each in engines) < 100


def test_pages_that_wait_for_an_output_do_not_block() -> None:
    """The iterator of pages may need an output before it has the next page."""

    class Waiting(Iterator[PageRequest]):
        def __init__(self) -> None:
            self.answered, self.given = threading.Semaphore(1), 0
            self.stopped = threading.Event()

        def __next__(self) -> PageRequest:
            while not self.answered.acquire(timeout=0.05):
                if self.stopped.is_set():
                    raise StopIteration
            if self.given == 5:
                raise StopIteration
            self.given += 1
            return pages(self.given)[-1]

        def stop(self) -> None:
            self.stopped.set()

    source = Waiting()
    found = []
    for output in balanced(ReplicaEngine("a"), ReplicaEngine("b")).read(source):
        found.append(output.key)
        source.answered.release()
    assert found == [0, 1, 2, 3, 4]


def test_an_error_of_the_pages_reaches_the_caller() -> None:
    def broken() -> Iterator[PageRequest]:
        yield from pages(2)
        raise ValueError("broken source")

    with pytest.raises(ValueError, match="broken source"):
        list(balanced(ReplicaEngine("a"), ReplicaEngine("b")).read(broken()))


def test_reports_progress_of_all_replicas() -> None:
    engines = [ReplicaEngine(name, page_s=0.02) for name in "ab"]
    reports: list[Progress] = []
    list(balanced(*engines, progress_interval_s=0.01).read(pages(40), reports.append))
    assert reports
    assert reports[-1].pages_done > reports[0].pages_done
    assert any(each.pages_in_flight > 1 for each in reports)


def test_close_closes_all() -> None:
    engines = [ReplicaEngine(name) for name in "ab"]
    balanced(*engines).close()
    assert all(each.closed for each in engines)
