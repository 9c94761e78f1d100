"""The lock that a server holds for its life."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.supervisor.life_lock import is_held, life_lock, listens
from tests.support.waiting import eventually


def test_the_lock_is_held_until_the_last_process_ends(tmp_path: Path) -> None:
    """The child forks, as servers do, and ends before its own child."""
    path = tmp_path / "lock"
    assert not is_held(path)
    with life_lock(path) as descriptor:
        assert is_held(path)
        child = subprocess.Popen(
            ["sh", "-c", "sleep 100 >&- & echo $!"],
            pass_fds=[descriptor],
            stdout=subprocess.PIPE,
        )
    output, _ = child.communicate(timeout=20)
    held = is_held(path)
    os.kill(int(output), signal.SIGKILL)
    assert held
    eventually(lambda: not is_held(path), 20)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_child_that_closes_its_files_does_not_hold_it(tmp_path: Path) -> None:
    with life_lock(tmp_path / "lock"):
        child = subprocess.Popen(["sleep", "100"])
    try:
        assert not is_held(tmp_path / "lock")
    finally:
        child.kill()
        child.wait()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / "lock").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic link"), life_lock(tmp_path / "lock"):
        pass
    assert not is_held(tmp_path / "lock")


def test_a_lock_that_another_process_holds_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with life_lock(path), pytest.raises(BlockingIOError), life_lock(path):
        pass
    os.mkfifo(tmp_path / "pipe")
    assert not is_held(tmp_path / "pipe"), "it does not wait for a writer"


def test_a_socket_listens(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert not listens(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert not listens(path)
        server.listen(0)
        assert listens(path)
        assert listens(path), "its queue is full"
    assert not listens(path)
