"""Logs of servers."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.supervisor.server_log import LogFollower, log_tail


def test_the_end_of_a_long_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"start\n" + b"x" * 5000 + "\nGPU außer Betrieb\n".encode())
    tail = log_tail(path)
    assert tail.endswith("x\nGPU außer Betrieb")
    assert len(tail) < 2001
    path.write_bytes(b"\xff short \n")
    assert log_tail(path) == "\ufffd short"
    assert log_tail(tmp_path / "missing") == ""


def test_each_line_is_repeated_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "log"
    path.write_text("loading\n")
    with closing(LogFollower(path)) as follower:
        follower.forward()
        follower.forward()
        with path.open("a") as file:
            file.write("half \nready\n")
        follower.forward()
    assert caplog.messages == ["server: loading", "server: half", "server: ready"]


def test_a_missing_log_is_followed_without_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(LogFollower(tmp_path / "missing")) as follower:
        follower.forward()
    assert caplog.messages == []
