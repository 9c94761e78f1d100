"""Which failed attempt is the last one, and the pause before the next."""

from __future__ import annotations

import asyncio

import pytest

from airflow_deepseek_ocr.engines.http.retries import (
    Backoff,
    ConnectionBrokenError,
    FailedAttempts,
    PageFileMissingError,
    RetryableError,
    RetryPolicy,
    ServerFullError,
)
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError

ERROR = UnavailableError(ErrorCode.SERVER_ERROR, "failed")


def attempts_until_it_gives_up(error: RetryableError, policy: RetryPolicy) -> FailedAttempts:
    failed = FailedAttempts(policy)

    async def attempt() -> None:
        raise error

    with pytest.raises(type(error)):
        asyncio.run(failed.retrying()(attempt))
    return failed


def test_each_kind_of_failure_has_its_number_of_attempts() -> None:
    policy = RetryPolicy(attempts=4, broken_attempts=2, max_pause_s=0.0)
    assert attempts_until_it_gives_up(RetryableError(ERROR), policy).others == 4
    assert attempts_until_it_gives_up(ConnectionBrokenError(ERROR), policy).broken == 2


def test_a_full_server_is_asked_until_the_time_is_over() -> None:
    policy = RetryPolicy(attempts=1, full_s=0.05, max_pause_s=0.01)
    failed = attempts_until_it_gives_up(ServerFullError(ERROR), policy)
    assert (failed.others, failed.broken) == (0, 0)


def test_after_a_missing_file_no_file_is_used() -> None:
    policy = RetryPolicy(attempts=2, max_pause_s=0.0)
    assert not attempts_until_it_gives_up(PageFileMissingError(ERROR), policy).as_file
    assert attempts_until_it_gives_up(RetryableError(ERROR), policy).as_file


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(0.0, 0.0, 3.0), (2.0, 2.0, 5.0), (99, 3.0, 6.0)]
)
def test_pauses_include_the_servers_wish_up_to_the_limit(
    asked: float, least: float, most: float
) -> None:
    pauses = []

    async def fail_four_times() -> None:
        failed = FailedAttempts(RetryPolicy())
        backoff = Backoff(3.0)
        retrying = failed.retrying().copy(
            wait=lambda state: pauses.append(backoff(state)) or 0.0,
            sleep=lambda _: asyncio.sleep(0),
        )
        await retrying(attempt)

    async def attempt() -> None:
        raise RetryableError(ERROR, asked)

    with pytest.raises(RetryableError):
        asyncio.run(fail_four_times())
    assert len(pauses) == 5
    assert all(least <= pause <= most for pause in pauses)
