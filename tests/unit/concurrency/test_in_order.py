"""Results of several threads in order."""

from __future__ import annotations

import threading

import pytest

from airflow_deepseek_ocr.concurrency.in_order import in_order


def test_results_come_in_order_whichever_is_ready_first() -> None:
    second = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second.wait(30)
        if number == 1:
            second.set()
        return number * number

    assert list(in_order(work, range(20), 2)) == [number * number for number in range(20)]


def test_only_a_few_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> object:
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(lambda number: number, items(), 2)  # type: ignore[arg-type]
    assert next(results) == 0
    assert len(taken) == 4
    results.close()  # type: ignore[attr-defined]
    assert len(taken) == 4


def test_an_error_ends_the_iteration() -> None:
    def work(number: int) -> int:
        return 1 // (2 - number)

    results = in_order(work, range(10), 1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
