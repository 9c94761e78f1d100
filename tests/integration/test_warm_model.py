"""One server for the tasks of a real Airflow with LocalExecutor, whatever ends them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_deepseek_ocr.engines.records import ServerRecord, all_records
from tests.conftest import ROOT, TINY_MODEL
from tests.servers.airflow import airflow, standalone

PAGE = f"file://{ROOT}/demo/documents/table.png"
IDLE_S = 20
RUN_TIMEOUT_S = 180


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = RUN_TIMEOUT_S) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not in {timeout_s:g} s"
        time.sleep(0.2)
    return value


@pytest.mark.slow
def test_a_server_outlives_the_tasks_that_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    servers, database, pid_file = tmp_path / "s", tmp_path / "results.db", tmp_path / "pid"
    extra = {
        "engine": "resident", "model": str(TINY_MODEL), "device": "cpu", "resolution": "tiny",
        "max_output_length": 40, "reread": "none", "idle_seconds": IDLE_S,
    }  # fmt: skip
    connections = {
        "deepseek_ocr_db": {"conn_type": "sqlite", "host": str(database)},
        "deepseek_ocr_default": {"conn_type": "deepseek_ocr", "extra": extra},
    }
    settings = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "DEEPSEEK_OCR_SERVERS": str(servers),
        "KILLED_TASK_PID": str(pid_file),
    }

    def server() -> ServerRecord:
        (record,) = all_records(servers)
        return record

    with airflow(connections, settings) as instance:

        def run(count: int) -> None:
            """One run that reads the page in ``count`` mapped tasks at once."""
            done = run_states(instance.home)
            conf = json.dumps({"documents": [PAGE] * count})
            instance.command("dags", "trigger", "warm_model", "--conf", conf)
            states = wait_for(
                lambda: (
                    now
                    if len(now := run_states(instance.home)) > len(done)
                    and now[-1] in ("success", "failed")
                    else None
                ),
                "the run ends",
            )
            assert states[-1] == "success", task_logs(instance.home)

        with standalone(instance):
            wait_for(lambda: "warm_model" in instance.command("dags", "list"), "the DAG is there")
            run(1)
            first = server()
            assert "Started a server" in task_logs(instance.home)
            run(8)
            assert server().pid == first.pid
            logs = task_logs(instance.home)
            assert logs.count("Started a server") == 1
            assert str(first.endpoint.secret) not in logs

            instance.command("dags", "trigger", "killed_task")
            victim = int(wait_for(lambda: pid_file.exists() and pid_file.read_text(), "the task"))
            os.killpg(os.getpgid(victim), signal.SIGKILL)
            wait_for(lambda: not psutil.pid_exists(victim), "the task is gone")
            assert server().pid == first.pid
            assert first.process() is not None
        # Scheduler and executor were ended with SIGTERM.
        assert first.process() is not None
    wait_for(lambda: first.process() is None, "it leaves when nobody asks", 3 * IDLE_S)
    assert list(all_records(servers)) == []


def run_states(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "airflow.db", timeout=20)) as connection:
        rows = connection.execute(
            "SELECT state FROM dag_run WHERE dag_id = 'warm_model' ORDER BY id"
        )
        return [state for (state,) in rows]


def task_logs(home: Path) -> str:
    return "\n".join(path.read_text() for path in sorted((home / "logs").rglob("attempt=*.log")))
