"""Resident servers that outlive the tasks that started them."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.cli import main
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
from airflow_deepseek_ocr.engines.supervisor.process import stop_server
from airflow_deepseek_ocr.engines.supervisor.registry import (
    ServerRecord,
    all_records,
    load_record,
    servers_directory,
)
from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    ErrorCode,
    UnavailableError,
)
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import TINY_MODEL
from tests.integration.servers.conftest import SPEC, record_of
from tests.support.fakes.another_user import as_another_user
from tests.support.waiting import eventually

#: Part of a task, for a process that is killed: it prints the socket of the ready server, and sleeps.
STARTER = f"""
import logging, sys, time
from pathlib import Path
from airflow_deepseek_ocr.engines.supervisor.registry import servers_directory
from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
logging.basicConfig(level=logging.INFO)
spec = ResidentServerSpec(
    model_directory=Path({str(TINY_MODEL)!r}), model="tiny", device="cpu", batch_size=2, idle_s=120
)
print(Supervisor(spec, servers_directory(), 120).find().socket_path, flush=True)
time.sleep(600)
"""


def find(servers: Path, spec: ResidentServerSpec = SPEC, timeout_s: float = 120) -> Any:
    return Supervisor(spec, servers, timeout_s).find()


def test_two_starters_share_a_server_that_outlives_their_kill(servers: Path) -> None:
    # Tests of other modules share the directory, and may have left such a server running.
    for record in all_records(servers):
        stop_server(record, servers)
    environment = os.environ | {"AIRFLOW_CONN_X": "password", "_AIRFLOW_PROCESS_CONTEXT": "client"}
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
    # The pipes reach their end, so the server has none of them. One task started it, both repeated its log.
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
    engine = HttpEngine(Supervisor(SPEC, servers, 120).find, model="tiny", pages=4)
    requests = [
        PageRequest(
            key=key, image=table, prompt="free", resolution="tiny", max_output_length=10 + key % 3
        )
        for key in range(10)
    ]
    expected = {output.key: output.text for output in engine.read(requests)}
    outputs = engine.read(iter(requests))
    got = [next(outputs), next(outputs)]
    os.kill(started.pid, signal.SIGKILL)
    got += list(outputs)
    assert [output.error for output in got] == [None] * 10
    assert sorted(output.key for output in got) == list(range(10))  # type: ignore[type-var]
    assert {output.key: output.text for output in got} == expected
    record = record_of(servers)
    assert record.pid != started.pid
    assert len(record.crashes) == 1
    assert f"process {started.pid}) crashed" in caplog.text
    assert not Path(str(started.socket)).exists()
    assert not page_directory(Path(str(started.socket))).exists()
    assert not Path(started.api_key_file).exists()


@pytest.mark.slow
def test_a_server_of_an_older_version_is_replaced_and_exits_when_idle(
    started: ServerRecord, servers: Path, table: Image.Image
) -> None:
    replace(started, version="0.0.9").save(servers)
    short = replace(SPEC, idle_s=2)
    engine = HttpEngine(Supervisor(short, servers, 120).find, model="tiny")
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
    # A record that stayed would look like a crash.
    eventually(lambda: record.process() is None and load_record(servers, SPEC.key) is None)
    left = [path.name for path in servers.iterdir() if path.name.startswith(f"{SPEC.key}-")]
    assert left == []


def test_the_reason_of_a_failed_start_is_raised(servers: Path) -> None:
    spec = replace(SPEC, model_directory=Path("/nowhere/model"), model="missing")
    with pytest.raises(UnavailableError, match="/nowhere/model") as caught:
        find(servers, spec)
    assert caught.value.code is ErrorCode.MODEL_MISSING


@pytest.mark.slow
def test_the_reason_of_a_failed_load_is_raised(servers: Path) -> None:
    with pytest.raises(ConfigurationError, match="cuda:7") as caught:
        find(servers, replace(SPEC, device="cuda:7"))
    assert caught.value.code is ErrorCode.DEVICE


def test_a_server_that_takes_too_long_can_be_stopped(
    servers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 100\n")
    slow.chmod(0o755)
    spec = replace(SPEC, python=str(slow), model="slow")
    with pytest.raises(UnavailableError, match="not ready in 1 s") as caught:
        find(servers, spec, timeout_s=1)
    assert caught.value.code is ErrorCode.SERVER_START_TIMEOUT
    record = record_of(servers, spec)
    assert record.process() is not None
    assert main(["servers"]) == 0
    assert f"{record.key}  resident  {__version__}  process {record.pid}" in capsys.readouterr().out
    assert main(["stop", "nothing"]) == 1
    assert main(["stop"]) == 1
    assert main(["stop", record.key]) == 0
    assert record.process() is None
    assert load_record(servers, record.key) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_reaches_neither_server_nor_api_key(
    started: ServerRecord, servers: Path
) -> None:
    """Nor is another user's task made to use it; also not if the directory were open."""
    api_key = started.endpoint.api_key

    def connect() -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(started.socket))
            return "connected"

    actions = {
        "connect": connect,
        "api key": Path(started.api_key_file).read_text,
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
        for name in ("connect", "api key", "log"):
            assert said[name].startswith("PermissionError"), (name, said)
        assert str(api_key) not in str(said)
    assert closed["record"].startswith("PermissionError")
    assert closed["their task"].startswith(("ConfigurationError", "PermissionError"))
    assert opened["their task"].startswith("ConfigurationError"), opened
    assert find(servers) == started.endpoint


def test_the_server_takes_the_threads_that_the_environment_names(started: ServerRecord) -> None:
    assert "2 slots, 1 CPU threads" in Path(started.log_file).read_text()


def test_a_shared_server_that_computes_elsewhere_is_refused(servers: Path) -> None:
    """Only the server's torch knows which device and dtype ``auto`` are."""
    engine = HttpEngine(lambda: find(servers), model="tiny", device="cpu", dtype="float32")
    assert (engine.capabilities().device, engine.capabilities().dtype) == ("cpu", "float32")
    for wrong in ({"device": "cuda:0"}, {"dtype": "bfloat16"}):
        with pytest.raises(ConfigurationError, match="uses cpu with float32") as caught:
            HttpEngine(lambda: find(servers), model="tiny", **wrong).capabilities()
        assert caught.value.code is ErrorCode.SERVER_DEVICE
