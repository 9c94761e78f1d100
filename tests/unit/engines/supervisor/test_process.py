"""Processes of servers, started and ended."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from airflow_deepseek_ocr.engines.supervisor.life_lock import is_held, life_lock
from airflow_deepseek_ocr.engines.supervisor.process import (
    kill_process_group,
    kill_server,
    start_detached,
    stop_server,
)
from airflow_deepseek_ocr.engines.supervisor.registry import load_record
from airflow_deepseek_ocr.engines.supervisor.server_spec import LaunchCommand
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from tests.support.fixtures.server_records import own_record
from tests.support.waiting import eventually


def command(*arguments: str, **environment: str | None) -> LaunchCommand:
    return LaunchCommand(
        arguments=arguments, url="http://nowhere", socket=None, environment=environment
    )


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads its session."""
    with subprocess.Popen(["sleep", "100"], start_new_session=True) as process:
        yield process
        process.kill()


def test_a_server_has_nothing_of_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_X", "password")
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    monkeypatch.setenv("PYTHON_REMOVED", "1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    (tmp_path / "log").write_text("of an earlier server")
    with (tmp_path / "channel").open("w") as channel:
        os.set_inheritable(channel.fileno(), True)
        process = start_detached(
            command("sh", "-c", "echo ready; exec sleep 100", ADDED="1", PYTHON_REMOVED=None),
            tmp_path / "log",
        )
    try:
        # Until then it may be a copy of this process.
        eventually(lambda: (tmp_path / "log").read_text() == "ready\n")
        environment = process.environ()
        assert environment["ADDED"] == "1"
        assert not [name for name in environment if "AIRFLOW" in name or name == "PYTHON_REMOVED"]
        assert "planted" not in environment.values()
        assert environment["OMP_NUM_THREADS"] == "2"
        assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
        assert process.cwd() == "/"
        assert {file.path for file in process.open_files()} == {str(tmp_path / "log")}
        assert Path(f"/proc/{process.pid}/fd/0").resolve() == Path("/dev/null")
        assert stat.S_IMODE((tmp_path / "log").stat().st_mode) & 0o077 == 0o044, "as it was"
    finally:
        kill_process_group(process.pid)
    assert process.wait(10) == -signal.SIGKILL
    assert (tmp_path / "log").read_text() in ("", "ready\n"), "the earlier output is gone"


def test_a_new_log_is_for_its_user_alone(tmp_path: Path) -> None:
    assert start_detached(command("echo", "said"), tmp_path / "log").wait(10) == 0
    assert (tmp_path / "log").read_text() == "said\n"
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / "log").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic link"):
        start_detached(command("true"), tmp_path / "log")
    assert (tmp_path / "other").read_text() == "kept"


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"/nowhere/python.*connection") as caught:
        start_detached(command("/nowhere/python"), tmp_path / "log")
    assert caught.value.code is ErrorCode.SERVER_COMMAND


def test_a_server_is_asked_to_stop_first(tmp_path: Path) -> None:
    script = "trap 'echo finished; exit 0' TERM; echo ready; while true; do sleep 0.05; done"
    process = start_detached(command("sh", "-c", script), tmp_path / "k.log")
    record = own_record(tmp_path, pid=process.pid, created=process.create_time())
    record.save(tmp_path)
    eventually(lambda: (tmp_path / "k.log").read_text())
    stop_server(record, tmp_path, timeout_s=60)
    assert (tmp_path / "k.log").read_text() == "ready\nfinished\n"
    assert process.wait(10) == 0
    assert load_record(tmp_path, "k") is None


def test_a_server_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    deaf = "trap '' TERM; echo deaf; while true; do sleep 1; done"
    process = start_detached(command("sh", "-c", deaf), tmp_path / "k.log")
    eventually(lambda: (tmp_path / "k.log").read_text())
    record = own_record(tmp_path, pid=process.pid, created=process.create_time())
    stop_server(record, tmp_path, timeout_s=0.2)
    assert process.wait(10) == -signal.SIGKILL


def test_a_group_that_belongs_to_others_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    created = psutil.Process(sleeper.pid).create_time()
    kill_server(own_record(tmp_path, pid=sleeper.pid, created=created - 100))
    assert sleeper.poll() is None
    kill_server(own_record(tmp_path, pid=sleeper.pid, created=created))
    assert sleeper.wait(10) == -signal.SIGKILL, "and no signal before"


def test_a_process_id_of_another_container_gets_no_signal(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    created = psutil.Process(sleeper.pid).create_time()
    life = tmp_path / "k.alive"
    record = own_record(
        tmp_path, pid=sleeper.pid, created=created, namespace="other", life_file=str(life)
    )
    record.save(tmp_path)
    kill_server(record)
    with life_lock(life), pytest.raises(UnavailableError, match="Run there") as caught:
        stop_server(record, tmp_path)
    assert caught.value.code is ErrorCode.SERVER_ELSEWHERE
    assert load_record(tmp_path, "k") == record
    stop_server(record, tmp_path)
    assert load_record(tmp_path, "k") is None, "it has ended with its container"
    assert sleeper.poll() is None


def test_a_server_inherits_the_files_that_are_named(tmp_path: Path) -> None:
    with life_lock(tmp_path / "lock") as descriptor:
        process = start_detached(command("sleep", "100"), tmp_path / "log", keep_open=[descriptor])
    assert is_held(tmp_path / "lock")
    kill_process_group(process.pid)
    process.wait(10)
    assert not is_held(tmp_path / "lock")


def test_children_of_a_dead_server_are_killed(tmp_path: Path) -> None:
    script = "sleep 100 & echo $!"
    process = start_detached(command("sh", "-c", script), tmp_path / "log")
    created = process.create_time()
    process.wait(10)
    child = psutil.Process(int((tmp_path / "log").read_text()))
    kill_server(own_record(tmp_path, pid=process.pid, created=created))
    psutil.wait_procs([child], 10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_group_that_is_gone_is_no_error(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    kill_process_group(sleeper.pid)
