"""The iterator that runs ahead in a thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import pytest

from airflow_deepseek_ocr.concurrency.prefetch import Prefetcher


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


def test_it_never_runs_further_ahead_than_its_bound() -> None:
    drawn = 0

    def source() -> Iterator[int]:
        nonlocal drawn
        for number in range(1000):
            drawn += 1
            yield number

    with Prefetcher(source(), lambda number: number, bound=4) as ahead:
        deadline = time.monotonic() + 5
        while drawn < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert drawn == 5  # four waiting, one in its hands
        assert ahead.take(wait=True) == 0


def test_several_work_at_once_and_results_stay_in_order() -> None:
    barrier = threading.Barrier(3, timeout=10)

    def work(number: int) -> int:
        if number < 3:
            barrier.wait()  # passes only if all three are worked on at once
            time.sleep(0.05 * (2 - number))
        return number * 10

    with Prefetcher(range(9), work, bound=4, workers=3) as ahead:
        assert drain(ahead) == [number * 10 for number in range(9)]


def test_work_that_is_not_finished_is_not_waited_for() -> None:
    gate = threading.Event()

    def work(number: int) -> int:
        assert gate.wait(10)
        return number

    with Prefetcher(range(2), work, bound=2) as ahead:
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
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
        thread = ahead._thread
    assert not thread.is_alive()
    numbers.close()  # type: ignore[attr-defined]  # would raise while the thread runs the generator
    assert ended.is_set()


def test_it_tells_when_there_is_something_to_take() -> None:
    told: queue.SimpleQueue[None] = queue.SimpleQueue()
    gates = [threading.Event() for _ in range(3)]

    def work(number: int) -> int:
        assert gates[number].wait(10)
        return number

    with Prefetcher(range(3), work, bound=3, on_ready=lambda: told.put(None)) as ahead:
        for number, gate in enumerate(gates):
            assert ahead.take(wait=False) is None
            gate.set()
            while (taken := ahead.take(wait=False)) is None:
                told.get(timeout=10)  # once too often is no harm
            assert taken == number
        while ahead.take(wait=False) is None and not ahead.over:
            told.get(timeout=10)
