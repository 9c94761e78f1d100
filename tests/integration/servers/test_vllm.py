"""A vLLM that is started, watched and ended; a stand-in answers in its place."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.session import Patience
from airflow_deepseek_ocr.engines.supervisor.process import stop_server
from airflow_deepseek_ocr.engines.supervisor.registry import ServerRecord, load_record
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec, table_cells
from airflow_deepseek_ocr.exceptions import ConfigurationError, UnavailableError
from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest
from tests.conftest import ROOT, TINY_MODEL
from tests.support.fakes.fault_server import TEXT

COMMAND = f"{sys.executable} -m tests.support.fakes.vllm_stand_in"
PAGE = PageRequest(key=1, image=Image.new("RGB", (50, 50)), prompt="free", resolution="gundam")


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """What the stand-in noted when it was started."""
    path = tmp_path / "notes"
    monkeypatch.setenv("STAND_IN_NOTES", str(path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return lambda: json.loads(path.read_text())


def plan(name: str, **changes: Any) -> VllmServerSpec:
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
        patience=Patience(longest_wait_s=0.2),
    )


def record_of(servers: Path, server: VllmServerSpec) -> ServerRecord:
    record = load_record(servers, server.key)
    assert record is not None
    return record


def gone(pid: int, timeout_s: float = 8) -> bool:
    deadline = time.monotonic() + timeout_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_it_is_started_as_the_model_needs_it_and_stopped(
    servers: Path, notes: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    server = plan("v1", options="--gpu-memory-utilization 0.5")
    (reading,) = engine_for(servers, server).read([PAGE])
    assert reading.text == TEXT
    record = record_of(servers, server)
    arguments = notes()["arguments"]
    assert arguments[:2] == ["serve", str(TINY_MODEL)]
    for pair in (
        ["--served-model-name", "v1"],
        ["--host", "127.0.0.1"],
        ["--dtype", "bfloat16"],
        ["--max-num-seqs", "7"],
        ["--mm-processor-cache-gb", "0"],
        ["--gpu-memory-utilization", "0.5"],
    ):
        assert pair in [arguments[place : place + 2] for place in range(len(arguments))], pair
    assert "--no-enable-prefix-caching" in arguments
    secret = Path(record.api_key_file).read_text().strip()
    child = psutil.Process(notes()["pid"])
    assert child.environ()["CUDA_VISIBLE_DEVICES"] == "5"  # the second of those that are visible
    assert child.environ()["VLLM_USE_V2_MODEL_RUNNER"] == "0"
    for process in (child, psutil.Process(record.pid)):
        assert secret not in " ".join(process.cmdline())
    stop_server(record, servers)
    assert gone(child.pid)
    assert gone(record.pid)


def test_it_is_ended_when_nobody_asks(servers: Path, notes: Callable[[], dict[str, Any]]) -> None:
    server = plan("v2", idle_s=2)
    (reading,) = engine_for(servers, server).read([PAGE])
    assert reading.text == TEXT
    record = record_of(servers, server)
    assert gone(notes()["pid"])
    assert gone(record.pid)
    assert load_record(servers, server.key) is None


def test_it_is_started_again_when_it_was_killed(
    servers: Path, notes: Callable[[], dict[str, Any]]
) -> None:
    """vLLM itself, and the process that watches it."""
    server = plan("v3")
    engine = engine_for(servers, server)
    for kill in (lambda: notes()["pid"], lambda: record_of(servers, server).pid):
        list(engine.read([PAGE]))
        before = notes()["pid"]
        os.kill(kill(), signal.SIGKILL)
        assert gone(before), "it would hold its GPU for good"
        (reading,) = engine.read([PAGE])
        assert reading.text == TEXT
        assert notes()["pid"] != before
    assert len(record_of(servers, server).crashes) == 2
    stop_server(record_of(servers, server), servers)


def test_why_it_cannot_start_is_told(servers: Path, notes: Callable[[], dict[str, Any]]) -> None:
    with pytest.raises(UnavailableError, match="vLLM ended with status 3"):
        Supervisor(plan("v4", options="--fail yes"), servers, 30).find()
    with pytest.raises(ConfigurationError, match=r"/no/vllm.*path of the program") as caught:
        Supervisor(plan("v5", command="/no/vllm"), servers, 30).find()
    assert caught.value.code == "server_command"
    with pytest.raises(ConfigurationError, match="quotation"):
        Supervisor(plan("v6", options='--x "'), servers, 30).find()


def test_tokens_of_table_cells_are_the_models() -> None:
    tokens = json.loads((TINY_MODEL / "tokenizer.json").read_text())["added_tokens"]
    ids = {each["content"]: each["id"] for each in tokens}
    assert table_cells(TINY_MODEL) == (ids["<td>"], ids["</td>"])
