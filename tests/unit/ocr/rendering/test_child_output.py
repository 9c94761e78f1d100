"""The output of a child is logged in bounded, printable lines, and never blocks the child."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from airflow_deepseek_ocr.ocr.rendering.child_output import MAX_LOGGED_BYTES, ChildOutput


@pytest.fixture
def pipe() -> Iterator[tuple[ChildOutput, int]]:
    ours, theirs = os.pipe()
    yield ChildOutput(ours), theirs
    os.close(theirs)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().removeprefix("Rendering process: ") for record in caplog.records]


def test_lines_are_logged_when_they_are_complete(
    pipe: tuple[ChildOutput, int], caplog: pytest.LogCaptureFixture
) -> None:
    output, theirs = pipe
    os.write(theirs, b"one\n\ntw")
    assert output.drain()
    assert logged(caplog) == ["one"]
    os.write(theirs, b"o\nthree")
    assert output.drain()
    output.close()
    assert logged(caplog) == ["one", "two", "three"]


def test_an_empty_pipe_does_not_block(pipe: tuple[ChildOutput, int]) -> None:
    output, _ = pipe
    assert output.drain()
    output.close()


def test_the_end_of_the_pipe_is_reported() -> None:
    ours, theirs = os.pipe()
    output = ChildOutput(ours)
    os.close(theirs)
    assert not output.drain()
    output.close()


def test_control_characters_do_not_reach_the_log(
    pipe: tuple[ChildOutput, int], caplog: pytest.LogCaptureFixture
) -> None:
    output, theirs = pipe
    os.write(theirs, b"\x1b[2J\rERROR all is lost\xff\n" + b"x" * 5000 + b"\n")
    output.drain()
    output.close()
    first, second = logged(caplog)
    assert first == " [2J ERROR all is lost\ufffd"
    assert len(second) == 500


def test_each_request_has_a_budget(
    pipe: tuple[ChildOutput, int], caplog: pytest.LogCaptureFixture
) -> None:
    output, theirs = pipe
    for _ in range(3):
        output.begin()
        caplog.clear()
        for _ in range(20):
            os.write(theirs, b"a line of 25 characters.\n" * 1000)
            assert output.drain()
        assert sum(map(len, logged(caplog))) <= MAX_LOGGED_BYTES + 100
        assert "dropped" in logged(caplog)[-1]
    output.close()
