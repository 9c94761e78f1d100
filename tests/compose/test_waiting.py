"""Waiting for healthy services, on states that Compose reports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compose import program  # noqa: F401

from stack.compose import Container, parse_rows  # isort: skip
from stack.waiting import wait_until_ready  # isort: skip

RUNNING = Container("worker", "running", "healthy", 0)
STARTING = Container("worker", "running", "starting", 0)
DONE = Container("init", "exited", "", 0)
FAILED = Container("init", "exited", "", 1)


class Clock:
    """Time that passes only while someone sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(states: list[list[Container]], timeout_s: float = 60) -> tuple[list[Container], float]:
    clock = Clock()
    last: Iterator[list[Container]] = iter([*states, *[states[-1]] * 1000])
    return wait_until_ready(
        lambda: next(last), timeout_s, clock=clock, sleep=clock.sleep
    ), clock.now


def test_it_waits_until_all_are_healthy_or_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert wait([[STARTING, DONE], [STARTING, DONE], [RUNNING, DONE]]) == ([], 4.0)
    assert capsys.readouterr().out == "Waiting for worker\n"


def test_a_service_that_failed_ends_the_wait() -> None:
    assert wait([[STARTING, FAILED]]) == ([FAILED], 0.0)


def test_after_the_time_out_the_service_that_is_not_ready_is_named() -> None:
    failed, waited = wait([[STARTING, DONE]], timeout_s=30)

    assert (failed, waited) == ([STARTING], 30.0)
    assert str(failed[0]) == "worker (starting)"
    assert str(FAILED) == "init (exited with status 1)"


@pytest.mark.parametrize("state", ["created", "restarting", "paused"])
def test_states_that_are_not_ready(state: str) -> None:
    assert not Container("worker", state, "", 0).is_ready


def test_rows_of_older_and_newer_versions() -> None:
    assert parse_rows('[{"Service": "a"}, {"Service": "b"}]') == [
        {"Service": "a"},
        {"Service": "b"},
    ]
    assert parse_rows('{"Service": "a"}\n{"Service": "b"}\n') == [
        {"Service": "a"},
        {"Service": "b"},
    ]
    assert parse_rows("") == []
