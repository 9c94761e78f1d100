"""Items are fetched and processed in threads, ahead of the consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher, Stoppable, stop_of


def drain(ahead: Prefetcher[int, int]) -> list[int]:
    results = []
    while (result := ahead.take(wait=True)) is not None:
        results.append(result)
    return results


def test_results_come_in_order_worked_on_in_another_thread() -> None:
    threads = set()

    def work(number: int) -> int:
        threads.add(threading.get_ident())
        return number * 10

    with Prefetcher(range(20), work, bound=3) as ahead:
        assert drain(ahead) == [number * 10 for number in range(20)]
        assert ahead.over
        assert ahead.take(wait=True) is None
    assert threads.isdisjoint({threading.get_ident()})


def test_it_fetches_no_more_than_its_bound() -> None:
    fetched = 0
    fifth, sixth = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        nonlocal fetched
        for number in range(1000):
            fetched += 1
            (fifth if fetched == 5 else sixth if fetched == 6 else threading.Event()).set()
            yield number

    with Prefetcher(source(), lambda number: number, bound=4) as ahead:
        assert fifth.wait(10)
        assert not sixth.wait(0.3)  # four wait in the queue, the fifth waits for room
        assert ahead.take(wait=True) == 0
        assert sixth.wait(10)


def test_several_work_at_once_and_results_stay_in_order() -> None:
    barrier, later = threading.Barrier(3, timeout=10), threading.Event()

    def work(number: int) -> int:
        if number < 3:
            barrier.wait()  # passes only if all three are worked on at once
        if number == 0:
            assert later.wait(10)
        elif number == 2:
            later.set()
        return number * 10

    with Prefetcher(range(9), work, bound=4, workers=3) as ahead:
        assert drain(ahead) == [number * 10 for number in range(9)]


def test_work_that_is_not_finished_is_not_waited_for() -> None:
    gate = threading.Event()

    def work(number: int) -> int:
        assert gate.wait(10)
        return number

    with Prefetcher(range(2), work, bound=2) as ahead:
        for _ in range(100):
            assert ahead.take(wait=False) is None
        gate.set()
        assert drain(ahead) == [0, 1]


def test_without_waiting_it_gives_what_is_there() -> None:
    gate = threading.Event()

    def source() -> Iterator[int]:
        assert gate.wait(10)
        yield 1

    with Prefetcher(source(), lambda number: number, bound=1) as ahead:
        assert ahead.take(wait=False) is None
        assert not ahead.over
        gate.set()
        assert drain(ahead) == [1]


def test_an_error_comes_after_the_results_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with Prefetcher(source(), lambda number: number, bound=4) as ahead:
        assert ahead.take(wait=True) == 1
        with pytest.raises(OSError, match="the disk is gone"):
            ahead.take(wait=True)
        assert ahead.over


def test_an_error_of_the_work_ends_it() -> None:
    def work(number: int) -> int:
        return 1 // (number - 1)

    with Prefetcher(range(5), work, bound=4) as ahead:
        assert ahead.take(wait=True) == -1
        with pytest.raises(ZeroDivisionError):
            ahead.take(wait=True)
        assert ahead.over
        assert ahead.take(wait=True) is None


def test_leaving_early_stops_the_thread() -> None:
    ended = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            ended.set()

    numbers = source()
    with Prefetcher(numbers, lambda number: number, bound=2) as ahead:
        ahead.take(wait=True)
    numbers.close()  # type: ignore[attr-defined]  # raises while another thread runs the generator
    assert ended.is_set()


class Endless:
    """Waits for items that never come, until it is stopped."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[int]:
        assert self._stopped.wait(10)
        yield from ()

    def stop(self) -> None:
        self._stopped.set()


def test_leaving_stops_a_source_that_waits() -> None:
    source = Endless()
    with Prefetcher(source, lambda number: number, bound=1, stop=stop_of(source)) as ahead:
        assert ahead.take(wait=False) is None


def test_stop_is_found_only_where_there_is_one() -> None:
    source = Endless()
    assert isinstance(source, Stoppable)
    assert stop_of(source) == source.stop
    assert stop_of(iter([1])) is None


def test_the_consumer_is_notified_when_there_is_something_to_take() -> None:
    notified: queue.SimpleQueue[None] = queue.SimpleQueue()
    gates = [threading.Event() for _ in range(3)]

    def work(number: int) -> int:
        assert gates[number].wait(10)
        return number

    with Prefetcher(range(3), work, bound=3, on_ready=lambda: notified.put(None)) as ahead:
        for number, gate in enumerate(gates):
            assert ahead.take(wait=False) is None
            gate.set()
            while (taken := ahead.take(wait=False)) is None:
                notified.get(timeout=10)  # one notification too many does no harm
            assert taken == number
        while ahead.take(wait=False) is None and not ahead.over:
            notified.get(timeout=10)
