"""Servers that outlive the tasks that started them."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.cli import main as cli
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.factory import server_spec
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
from airflow_deepseek_ocr.engines.supervisor.api_key import create_api_key
from airflow_deepseek_ocr.engines.supervisor.registry import (
    DIRECTORY_VARIABLE,
    ServerRecord,
    load_record,
    record_exit,
    servers_directory,
)
from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.supervisor import Place, Supervisor, kill_session
from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec
from airflow_deepseek_ocr.exceptions import ConfigurationError, DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.hardware import gpu
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import TINY_MODEL
from tests.integration.servers.conftest import PLAN, record_of
from tests.support.fakes.another_user import as_another_user

#: What a task does, for a process that may be killed; it tells when the server is ready, and sleeps.
STARTER = f"""
import logging, sys, time
from pathlib import Path
from airflow_deepseek_ocr.engines.keeper import Supervisor
from airflow_deepseek_ocr.engines.records import servers_directory
from airflow_deepseek_ocr.engines.resident import ResidentServerSpec
logging.basicConfig(level=logging.INFO)
plan = ResidentServerSpec(Path({str(TINY_MODEL)!r}), "tiny", "", "cpu", "auto", 2, idle_s=120)
print(Supervisor(plan, servers_directory(), 120).find().socket_path, flush=True)
time.sleep(600)
"""


def find(servers: Path, plan: ResidentServerSpec = PLAN, timeout_s: float = 120) -> Any:
    return Supervisor(plan, servers, timeout_s).find()


def wait_until_gone(record: ServerRecord, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while record.process() is not None:
        assert time.monotonic() < deadline, "it did not leave"
        time.sleep(0.05)


def test_two_starters_share_a_server_that_outlives_their_kill(servers: Path) -> None:
    environment = os.environ | {"AIRFLOW_CONN_X": "secret", "_AIRFLOW_PROCESS_CONTEXT": "client"}
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        for _ in range(2)
    ]
    try:
        sockets = {starter.stdout.readline().strip() for starter in starters if starter.stdout}
        record = record_of(servers)
        assert sockets == {record.socket}
    finally:
        for starter in starters:
            os.killpg(starter.pid, signal.SIGKILL)
    logs = [starter.communicate(timeout=10)[1] for starter in starters]
    # Its pipes are closed: the server holds none of them. One started it, both were told of the load.
    assert sum("Started a server" in text for text in logs) == 1
    assert all("server: " in text and "Loaded deepseek-ocr-tiny" in text for text in logs)

    process = record.process()
    assert process is not None
    assert os.getsid(process.pid) == process.pid
    assert process.cwd() == "/"
    assert not [name for name in process.environ() if "AIRFLOW" in name]
    files = {Path(f"/proc/{process.pid}/fd/{number}").resolve() for number in (0, 1, 2)}
    assert files == {Path("/dev/null"), Path(record.log_file)}
    assert find(servers) == record.endpoint
    assert record_of(servers).pid == record.pid
    for path in (record.api_key_file, record.socket, record.log_file):
        assert Path(str(path)).stat().st_mode & 0o077 == 0, path


def test_a_server_that_is_killed_in_the_middle_of_a_document_is_replaced(
    started: ServerRecord, servers: Path, table: Image.Image, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine = HttpEngine(Supervisor(PLAN, servers, 120).find, model="tiny", pages=4)
    requests = [
        PageRequest(
            key=key, image=table, prompt="free", resolution="tiny", max_output_length=10 + key % 3
        )
        for key in range(10)
    ]
    expected = {reading.key: reading.text for reading in engine.read(requests)}
    readings = engine.read(iter(requests))
    got = [next(readings), next(readings)]
    os.kill(started.pid, signal.SIGKILL)
    got += list(readings)
    assert [reading.error for reading in got] == [None] * 10
    assert sorted(reading.key for reading in got) == list(range(10))  # type: ignore[type-var]
    assert {reading.key: reading.text for reading in got} == expected
    record = record_of(servers)
    assert record.pid != started.pid
    assert len(record.crashes) == 1
    assert f"process {started.pid}) ended without being told to" in caplog.text
    assert not Path(str(started.socket)).exists()
    assert not page_directory(Path(str(started.socket))).exists()
    assert not Path(started.api_key_file).exists()


@pytest.mark.slow
def test_a_server_of_an_older_version_is_replaced_and_leaves_when_nobody_asks(
    started: ServerRecord, servers: Path, table: Image.Image
) -> None:
    replace(started, version="0.0.9").save(servers)
    impatient = replace(PLAN, idle_s=2)
    engine = HttpEngine(Supervisor(impatient, servers, 120).find, model="tiny")
    assert (
        next(
            engine.read(
                [
                    PageRequest(
                        key=1, image=table, prompt="free", resolution="tiny", max_output_length=5
                    )
                ]
            )
        ).error
        is None
    )
    record = record_of(servers)
    assert record.pid != started.pid
    assert started.process() is None
    replace(record, version="999.0").save(servers)
    find(servers)
    assert record_of(servers).pid == record.pid, "a newer one serves older tasks"
    wait_until_gone(record, 8)
    deadline = time.monotonic() + 2
    while load_record(servers, PLAN.key) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert load_record(servers, PLAN.key) is None, "it leaves nothing that looks like a crash"
    left = [path.name for path in servers.iterdir() if path.name.startswith(f"{PLAN.key}-")]
    assert left == []


def test_why_it_cannot_start_is_told(servers: Path) -> None:
    plan = replace(PLAN, directory=Path("/nowhere/model"), model="missing")
    with pytest.raises(UnavailableError, match="/nowhere/model") as caught:
        find(servers, plan)
    assert caught.value.code == "model_missing"


@pytest.mark.slow
def test_why_the_model_cannot_be_loaded_is_told(servers: Path) -> None:
    with pytest.raises(ConfigurationError, match="cuda:7") as caught:
        find(servers, replace(PLAN, device="cuda:7"))
    assert caught.value.code == "device"


def test_a_server_that_crashes_again_and_again_is_given_up(
    servers: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such library\nexit 3\n")
    broken.chmod(0o755)
    plan = replace(PLAN, python=str(broken), model="broken")
    with pytest.raises(UnavailableError, match=r"5 times.*no such library") as caught:
        find(servers, plan)
    assert caught.value.code == "server_crashes"


def test_a_program_that_is_not_there(servers: Path) -> None:
    plan = replace(PLAN, python="/nowhere/python", model="none")
    with pytest.raises(ConfigurationError, match="/nowhere/python") as caught:
        find(servers, plan)
    assert caught.value.code == "server_command"


@pytest.mark.parametrize(
    "wrong", [{"vllm_options": "'"}, {"vllm_command": "'"}, {"server_python": "/nowhere/python"}]
)
def test_what_cannot_be_started_leaves_no_secret(wrong: dict[str, str], tmp_path: Path) -> None:
    settings = Settings.of(wrong)
    chosen = "resident" if settings.server_python else "vllm"
    with pytest.raises(ConfigurationError):
        Supervisor(server_spec(settings, chosen, TINY_MODEL), tmp_path, 5).find()
    assert list(tmp_path.glob("*.secret")) == []


def test_a_starter_that_is_told_to_stop_leaves_no_server_that_nobody_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 100\n")
    slow.chmod(0o755)
    started = []

    def save(record: ServerRecord, directory: Path) -> None:
        started.append(psutil.Process(record.pid))
        raise KeyboardInterrupt

    monkeypatch.setattr(ServerRecord, "save", save)
    with pytest.raises(KeyboardInterrupt):
        find(tmp_path, replace(PLAN, python=str(slow)))
    ended, left = psutil.wait_procs(started, 5)
    assert (len(ended), left) == (1, [])
    assert list(tmp_path.glob("*.secret")) == []


def test_a_server_that_takes_too_long_can_be_stopped(
    servers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 100\n")
    slow.chmod(0o755)
    plan = replace(PLAN, python=str(slow), model="slow")
    with pytest.raises(UnavailableError, match="not ready in 1 s") as caught:
        find(servers, plan, timeout_s=1)
    assert caught.value.code == "server_start_timeout"
    record = record_of(servers, plan)
    assert record.process() is not None
    assert cli.main(["servers"]) == 0
    assert f"{record.key}  resident  {__version__}  process {record.pid}" in capsys.readouterr().out
    assert cli.main(["stop", "nothing"]) == 1
    assert cli.main(["stop"]) == 1
    assert cli.main(["stop", record.key]) == 0
    assert record.process() is None
    assert load_record(servers, record.key) is None


def test_a_process_id_that_was_given_again_is_not_the_server(servers: Path) -> None:
    ours = psutil.Process()
    record = ServerRecord(
        "k", "resident", "", "1", ours.pid, ours.create_time() - 100, "http://x", None, "", ""
    )
    assert record.process() is None
    assert replace(record, created=ours.create_time()).process() is not None


def test_a_group_that_others_have_by_now_is_left_alone(servers: Path) -> None:
    stranger = subprocess.Popen(["sleep", "100"], start_new_session=True)
    try:
        now = psutil.Process(stranger.pid).create_time()
        earlier = ServerRecord(
            "key", "resident", "", __version__, stranger.pid, now - 100, "", None, "secret", "log"
        )
        kill_session(earlier)
        with pytest.raises(subprocess.TimeoutExpired):
            stranger.wait(0.5)
        kill_session(replace(earlier, created=now))
        assert stranger.wait(10) == -signal.SIGKILL
        before_a_reboot = replace(earlier, created=psutil.boot_time() - 100)
        assert not before_a_reboot.group_is_its_own()
        assert replace(earlier, created=now).group_is_its_own(), "members may be left"
    finally:
        stranger.kill()
        stranger.wait()


def test_a_directory_that_others_may_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    for name in ("open", "link"):
        monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / name))
        with pytest.raises(ConfigurationError, match="700"):
            servers_directory()
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "new"))
    assert servers_directory().stat().st_mode & 0o777 == 0o700
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(DIRECTORY_VARIABLE, "new")
    assert servers_directory() == tmp_path / "new"


def test_records_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", json.dumps({"key": "k"})):
        (tmp_path / "k.json").write_text(text)
        assert load_record(tmp_path, "k") is None


def test_why_a_server_ended_is_told_where_it_cannot_be_written_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = ServerRecord("k", "resident", "", "1", os.getpid(), 0.0, "", None, "", "")
    record.save(tmp_path)
    (tmp_path / f"k.{os.getpid()}.partial").mkdir()
    with (
        pytest.raises(UnavailableError, match="the model is gone"),
        record_exit(tmp_path / "k.json"),
    ):
        raise UnavailableError("model_missing", "the model is gone")
    assert f"cannot be written down in {tmp_path}" in caplog.text


def test_a_secret_that_cannot_be_written_may_be_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(descriptor: int, mode: str) -> None:
        os.close(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "k.secret"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", failing)
        with pytest.raises(UnavailableError, match="cannot be written"):
            create_api_key(path)
    secret = create_api_key(path)
    with pytest.raises(UnavailableError, match="File exists"):
        create_api_key(path)
    assert path.read_text() == secret + "\n"


def test_a_server_that_was_told_to_end_ends_well_where_its_record_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret").mkdir()
    secret = str(tmp_path / "secret")
    ServerRecord("k", "resident", "", "1", os.getpid(), 0.0, "", None, secret, "").save(tmp_path)
    with record_exit(tmp_path / "k.json"):
        pass
    assert f"cannot be removed from {tmp_path}" in caplog.text


def test_what_one_process_may_not_share() -> None:
    """Other GPUs, weights or types are other servers; idle time and Python are not."""
    keys = {PLAN.key}
    for change in ({"device": "cuda:1"}, {"dtype": "float16"}, {"revision": "b"}, {"model": "m"}):
        keys.add(replace(PLAN, **change).key)
    assert len(keys) == 5
    assert replace(PLAN, idle_s=1, python="/p", batch_size=9).key == PLAN.key


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_reaches_neither_server_nor_secret(
    started: ServerRecord, servers: Path
) -> None:
    """Nor may another user's task be made to use it; also where the directory were open."""
    secret = started.endpoint.secret

    def connect() -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(started.socket))
            return "connected"

    actions = {
        "connect": connect,
        "secret": Path(started.api_key_file).read_text,
        "log": Path(started.log_file).read_text,
        "record": (servers / f"{started.key}.json").read_text,
        "their task": lambda: str(servers_directory()),
    }
    modes = {directory: directory.stat().st_mode for directory in (servers, *servers.parents[:2])}
    closed = as_another_user(actions)
    try:
        for directory in modes:
            directory.chmod(0o755)
        opened = as_another_user(actions)
    finally:
        for directory, mode in modes.items():
            directory.chmod(mode)
    for said in (closed, opened):
        for name in ("connect", "secret", "log"):
            assert said[name].startswith("PermissionError"), (name, said)
        assert str(secret) not in str(said)
    assert closed["record"].startswith("PermissionError")
    assert closed["their task"].startswith(("ConfigurationError", "PermissionError"))
    assert opened["their task"].startswith("ConfigurationError"), opened
    assert find(servers) == started.endpoint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("auto", None), ("cuda:0", None)),
        (("auto", None), ("cuda", "0")),
        (("cuda:1", None), ("auto", "1,0")),
        (("cuda:1", "GPU-a, GPU-b"), ("cuda", "GPU-b")),
        (("auto", ""), ("cpu", None)),
        (("auto", "-1"), ("cpu", "0")),
        (("auto", " -1"), ("cpu", "0")),
    ],
)
def test_a_gpu_has_one_server_however_it_is_named(
    monkeypatch: pytest.MonkeyPatch, one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)

    def key(device: str, visible: str | None, dtype: str = "auto") -> str:
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        return replace(PLAN, device=device, dtype=dtype).key

    assert key(*one) == key(*other)
    assert key(*one, "bfloat16") == key(*other, "bfloat16") != key(*one, "float16")
    assert key(*one) == key(*one, "float32" if other[0] == "cpu" else "bfloat16")
    assert key("cuda:7", None) != key(*one)


@pytest.mark.parametrize(
    ("device", "visible"),
    [("cuda:2", "0,1"), ("cuda:1", "GPU-a"), ("cuda:1", "0,-1,1"), ("cuda:0", ""), ("cuda", "-1")],
)
def test_a_gpu_that_the_process_does_not_see_is_no_other(
    device: str, visible: str, servers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    vllm = VllmServerSpec(TINY_MODEL, "v", "", device, "auto", None, 60)
    message = f"{device}'.*CUDA_VISIBLE_DEVICES is '{visible}'"
    for look in (lambda: find(servers, replace(PLAN, device=device)), lambda: vllm.key):
        with pytest.raises(ConfigurationError, match=message) as caught:
            look()
        assert caught.value.code == "device"


def test_files_beside_the_server_are_not_its_own(tmp_path: Path) -> None:
    """Whatever lies in the directory it is started in, by the names of what it imports."""
    for name in ("json.py", "httpx.py", "airflow_deepseek_ocr.py"):
        (tmp_path / name).write_text("raise SystemExit('a stranger was imported')")
    place = Place(tmp_path / "s", tmp_path / "secret", tmp_path, "k")
    vllm = VllmServerSpec(TINY_MODEL, "v", "", "auto", "auto", None, 60)
    for command in (PLAN.launch(place).command, vllm.launch(place).command):
        program = [*command[: list(command).index("-m") + 2], "--help"]
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        without = [word for word in program if word != "-P"]
        done = subprocess.run(without, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert "a stranger was imported" in done.stderr


def test_the_threads_that_the_environment_names_are_taken(started: ServerRecord) -> None:
    assert "2 pages at once, 1 threads of the CPU" in Path(started.log_file).read_text()


def test_a_shared_server_that_computes_elsewhere_is_refused(servers: Path) -> None:
    """It says so itself: only its torch knows what auto is."""
    engine = HttpEngine(lambda: find(servers), model="tiny", device="cpu", dtype="float32")
    assert (engine.capabilities().device, engine.capabilities().dtype) == ("cpu", "float32")
    for wrong in ({"device": "cuda:0"}, {"dtype": "bfloat16"}):
        with pytest.raises(ConfigurationError, match="computes on cpu in float32") as caught:
            HttpEngine(lambda: find(servers), model="tiny", **wrong).capabilities()
        assert caught.value.code == "server_device"


def test_a_missing_extra_is_named(servers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeepSeekOCRError, match=r"\[transformers\]"):
        find(servers, replace(PLAN, model="extra"))
