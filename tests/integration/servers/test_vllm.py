"""vLLM under its watchdog: started, stopped when idle, replaced; a stand-in answers in its place."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
from airflow_deepseek_ocr.engines.supervisor.process import stop_server
from airflow_deepseek_ocr.engines.supervisor.registry import ServerRecord, load_record
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import ROOT, TINY_MODEL
from tests.support.fakes.another_user import as_another_user
from tests.support.fakes.fault_server import TEXT
from tests.support.waiting import eventually

COMMAND = f"{sys.executable} -m tests.support.fakes.vllm_stand_in"
#: Variables of the worker that no server needs.
PLANTED = (
    *("AIRFLOW_CONN_X", "AIRFLOW__CORE__FERNET_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("HF_TOKEN", "DB_PASSWORD", "VLLM_API_KEY", "NVIDIA_API_KEY", "https_proxy", "DATABASE_URL"),
)
PAGE = PageRequest(key=1, image=Image.new("RGB", (50, 50)), prompt="free", resolution="gundam")


@pytest.fixture
def started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """Return the process id and the arguments of the stand-in that was started last."""
    path = tmp_path / "started_with"
    monkeypatch.setenv("VLLM_STAND_IN_NOTES", str(path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return lambda: json.loads(path.read_text())


def spec(name: str, **changes: Any) -> VllmServerSpec:
    usual = VllmServerSpec(
        model_directory=TINY_MODEL,
        model=name,
        device="cuda:1",
        dtype="bfloat16",
        batch_size=7,
        idle_s=60,
        command=COMMAND,
    )
    return replace(usual, **changes)


def engine_for(servers: Path, server: VllmServerSpec) -> HttpEngine:
    return HttpEngine(
        Supervisor(server, servers, 30).find,
        model=server.model,
        retry_policy=RetryPolicy(max_pause_s=0.2),
    )


def record_of(servers: Path, server: VllmServerSpec) -> ServerRecord:
    record = load_record(servers, server.key)
    assert record is not None
    return record


def ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_vllm_is_started_as_the_model_needs_it_and_stopped(
    servers: Path, started_with: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    for name in PLANTED:
        monkeypatch.setenv(name, "planted")
    server = spec("v1", options="--gpu-memory-utilization 0.5")
    (output,) = engine_for(servers, server).read([PAGE])
    assert output.text == TEXT
    record = record_of(servers, server)
    arguments = started_with()["arguments"]
    assert arguments[:2] == ["serve", str(TINY_MODEL)]
    for pair in (
        ["--served-model-name", "v1"],
        ["--dtype", "bfloat16"],
        ["--max-num-seqs", "7"],
        ["--mm-processor-cache-gb", "0"],
        ["--gpu-memory-utilization", "0.5"],
    ):
        assert pair in [list(each) for each in pairwise(arguments)], pair
    assert "--no-enable-prefix-caching" in arguments
    api_key = Path(record.api_key_file).read_text().strip()
    child = psutil.Process(started_with()["pid"])
    assert child.environ()["CUDA_VISIBLE_DEVICES"] == "5"  # the second of those that are visible
    assert child.environ()["VLLM_USE_V2_MODEL_RUNNER"] == "0"
    for process in (child, psutil.Process(record.pid)):
        assert "planted" not in process.environ().values()
        assert api_key not in " ".join(process.cmdline())
    stop_server(record, servers)
    eventually(lambda: ended(child.pid) and ended(record.pid))


def test_no_other_process_can_take_the_place_of_a_vllm_that_starts(
    servers: Path,
    started_with: Callable[[], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """vLLM listens after its imports, and every user can read its arguments meanwhile."""
    monkeypatch.setenv("VLLM_STAND_IN_WAITS_FOR", str(tmp_path / "go"))
    another = socket.socket(socket.AF_UNIX)
    peers: list[Any] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        peers.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    server = spec("v8")
    with pytest.raises(UnavailableError, match="not ready"):
        Supervisor(server, servers, 0).find()
    eventually(lambda: (tmp_path / "started_with").exists() and started_with())
    record = record_of(servers, server)
    assert record.socket is not None
    path = record.socket
    names = [psutil.Process(pid).cmdline() for pid in (record.pid, started_with()["pid"])]
    if os.geteuid() == 0:
        taken = as_another_user({"bind": lambda: str(another.bind(path))})
        assert "PermissionError" in taken["bind"]
    (tmp_path / "go").touch()
    assert Supervisor(server, servers, 60).find().socket_path == Path(path)
    if os.geteuid() == 0:
        reached = as_another_user({"connect": lambda: str(another.connect(path))})
        assert "PermissionError" in reached["connect"]
    another.close()
    assert not [each for each in names if {"--port", "--host", "--url"} & set(each)]
    # This process connects to the socket alone, and neither the watchdog nor vLLM has TCP.
    assert set(peers) == {path}
    for pid in (record.pid, started_with()["pid"]):
        assert psutil.Process(pid).net_connections("inet") == []
    stop_server(record, servers)


def test_an_idle_vllm_is_stopped(servers: Path, started_with: Callable[[], dict[str, Any]]) -> None:
    server = spec("v2", idle_s=2)
    (output,) = engine_for(servers, server).read([PAGE])
    assert output.text == TEXT
    record = record_of(servers, server)
    eventually(lambda: ended(started_with()["pid"]) and ended(record.pid))
    assert load_record(servers, server.key) is None


def test_a_vllm_that_is_killed_is_started_again(
    servers: Path, started_with: Callable[[], dict[str, Any]]
) -> None:
    """Either vLLM or its watchdog is killed."""
    server = spec("v3")
    engine = engine_for(servers, server)
    for kill in (lambda: started_with()["pid"], lambda: record_of(servers, server).pid):
        list(engine.read([PAGE]))
        before = started_with()["pid"]
        os.kill(kill(), signal.SIGKILL)
        eventually(lambda before=before: ended(before))  # else it would occupy its GPU for ever
        (output,) = engine.read([PAGE])
        assert output.text == TEXT
        assert started_with()["pid"] != before
    assert len(record_of(servers, server).crashes) == 2
    stop_server(record_of(servers, server), servers)


def test_the_reason_of_a_failed_start_is_raised(
    servers: Path, started_with: Callable[[], dict[str, Any]]
) -> None:
    with pytest.raises(
        UnavailableError, match=r"status 3: ValueError: no such mode\. Its log is .*\.log"
    ):
        Supervisor(spec("v4", options="--load-format fails"), servers, 30).find()
    with pytest.raises(ConfigurationError, match=r"/no/vllm.*path of the program") as caught:
        Supervisor(spec("v5", command="/no/vllm"), servers, 30).find()
    assert caught.value.code is ErrorCode.SERVER_COMMAND
    with pytest.raises(ConfigurationError, match="quotation"):
        Supervisor(spec("v6", options='--x "'), servers, 30).find()
