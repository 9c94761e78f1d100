"""A database that does not answer: one request at a time waits for it."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.plugins.results_page.away import Away

GONE = DatabaseError(ErrorCode.DATABASE_UNAVAILABLE, "The server is gone.")


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(away: Away, clock: _Clock, after_s: float, error: DatabaseError = GONE) -> None:
    with pytest.raises(DatabaseError), away.attempt():
        clock.now += after_s
        raise error


def is_tried(away: Away) -> bool:
    try:
        with away.attempt():
            return True
    except DatabaseError as error:
        assert str(error) == str(GONE)
        assert error is not GONE
        return False


def test_after_a_wait_in_vain_requests_fail_at_once_for_a_while() -> None:
    clock = _Clock()
    away = Away(clock)
    fail(away, clock, after_s=10)
    clock.now += 1.9
    # Were it tried, the success would be remembered.
    assert [is_tried(away) for _ in range(3)] == [False] * 3
    clock.now += 0.2
    fail(away, clock, after_s=10)
    assert not is_tried(away)
    clock.now += 2
    assert is_tried(away)
    assert is_tried(away)


def test_one_request_finds_out_whether_it_is_back() -> None:
    clock = _Clock()
    away = Away(clock)
    fail(away, clock, after_s=10)
    clock.now += 5
    with away.attempt():
        assert not is_tried(away)
    assert is_tried(away)


def test_requests_that_wait_for_their_turn_hear_of_the_failure() -> None:
    clock = _Clock()
    away = Away(clock)
    with pytest.raises(DatabaseError, match="gone"), away.attempt() as check:
        check()
        fail(away, clock, after_s=10)
        check()
        raise AssertionError


def test_quick_and_other_failures_are_not_remembered() -> None:
    clock = _Clock()
    away = Away(clock)
    fail(away, clock, after_s=0.1)
    assert is_tried(away)
    fail(away, clock, after_s=10, error=DatabaseError(ErrorCode.DATABASE_SLOW, "slow"))
    assert is_tried(away)
