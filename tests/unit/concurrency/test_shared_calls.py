"""Calls that threads share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from airflow_deepseek_ocr.concurrency.shared_calls import SharedCalls


class Squares:
    """Squares numbers; the first call waits until it may end."""

    def __init__(self, most: int = 8) -> None:
        self.calls: list[list[int]] = []
        self.may_end, self.has_begun = threading.Event(), threading.Event()
        self.shared = SharedCalls(
            self._square, key_of=lambda number: number % 10, most=most, gather_s=0
        )

    def _square(self, numbers: Sequence[int]) -> list[int]:
        self.calls.append(list(numbers))
        self.has_begun.set()
        assert self.may_end.wait(60)
        if 13 in numbers:
            raise ValueError("unlucky")
        return [number * number for number in numbers]

    def waiting_for(self, numbers: Sequence[int], stack: ExitStack) -> list[Future[int]]:
        """Ask for numbers from a thread each: for the first alone, for the others while it is squared."""
        pool = stack.enter_context(ThreadPoolExecutor(len(numbers)))
        stack.callback(self.may_end.set)
        futures = []
        for count, number in enumerate(numbers, 1):
            futures.append(pool.submit(self.shared.call, number))
            assert self.has_begun.wait(60)
            until(lambda count=count: self.asked >= count)  # type: ignore[misc]
        return futures

    @property
    def asked(self) -> int:
        return len(self.calls[0]) + len(self.shared._waiting)


def until(condition: Callable[[], bool]) -> None:
    changed = threading.Event()
    for _ in range(6000):
        if condition():
            return
        changed.wait(0.01)
    raise AssertionError("the condition did not come true")


def test_calls_that_come_meanwhile_are_made_as_one_in_their_order() -> None:
    with ExitStack() as stack:
        squares = Squares()
        futures = squares.waiting_for([2, 3, 4, 5], stack)
        squares.may_end.set()
        assert [future.result(60) for future in futures] == [4, 9, 16, 25]
    assert squares.calls == [[2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("most", "numbers", "calls"),
    [(2, [1, 2, 3, 4], [[1], [2, 3], [4]]), (8, [1, 2, 3, 12, 4], [[1], [2, 3], [12, 4]])],
    ids=["most", "equal keys"],
)
def test_calls_have_so_many_items_and_different_ones(
    most: int, numbers: list[int], calls: list[list[int]]
) -> None:
    with ExitStack() as stack:
        squares = Squares(most)
        futures = squares.waiting_for(numbers, stack)
        squares.may_end.set()
        assert [future.result(60) for future in futures] == [each * each for each in numbers]
    assert squares.calls == calls


def test_the_first_item_waits_for_others_until_there_are_enough() -> None:
    calls: list[list[int]] = []

    def note(numbers: Sequence[int]) -> Sequence[int]:
        calls.append(list(numbers))
        return numbers

    shared = SharedCalls(note, key_of=lambda number: number, most=4, gather_s=60)
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(shared.call, range(4))) == [0, 1, 2, 3]
    assert [sorted(each) for each in calls] == [[0, 1, 2, 3]]
    soon = SharedCalls(note, key_of=lambda number: number, most=4, gather_s=0.01)
    assert soon.call(7) == 7


def test_an_error_is_that_of_all_items_of_its_call_and_of_no_other() -> None:
    with ExitStack() as stack:
        squares = Squares()
        first, *others = squares.waiting_for([2, 13, 4], stack)
        squares.may_end.set()
        assert first.result(60) == 4
        for each in others:
            with pytest.raises(ValueError, match="unlucky"):
                each.result(60)
        assert squares.shared.call(5) == 25


def test_a_result_that_is_there_does_not_wait_for_the_next_call() -> None:
    with ExitStack() as stack:
        squares = Squares()
        squares.may_end.set()
        pool = stack.enter_context(ThreadPoolExecutor(1))
        shared = squares.shared
        shared._is_calling = True
        future = pool.submit(shared.call, 3)
        until(lambda: len(shared._waiting) == 1)
        shared._make_call()
        # This thread still makes calls.
        assert future.result(60) == 9


def test_a_signal_in_a_call_leaves_the_turn_to_the_next_thread() -> None:
    def end(numbers: Sequence[int]) -> Sequence[int]:
        if numbers == [1]:
            raise KeyboardInterrupt
        return numbers

    shared = SharedCalls(end, key_of=lambda number: number, most=4, gather_s=0)
    with pytest.raises(KeyboardInterrupt):
        shared.call(1)
    assert shared.call(2) == 2
