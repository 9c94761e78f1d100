"""One server for the tasks of a real Airflow, however they end, with LocalExecutor and Celery."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import sqlalchemy

from airflow_deepseek_ocr.engines.supervisor.registry import ServerRecord, all_records
from tests.conftest import ROOT, TINY_MODEL
from tests.support.servers.airflow import (
    Airflow,
    airflow,
    celery_worker,
    standalone,
    without_workers,
)
from tests.support.servers.postgres import postgres
from tests.support.servers.redis_server import redis_server

PAGE = f"file://{ROOT}/demo/documents/table.png"
#: Longer than a new worker takes to start a task.
IDLE_S = {"LocalExecutor": 20, "CeleryExecutor": 60}
RUN_TIMEOUT_S = 180


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = RUN_TIMEOUT_S) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not in {timeout_s:g} s"
        time.sleep(0.2)
    return value


@dataclass(frozen=True)
class WarmModel:
    """An Airflow with the DAGs of this directory, and the servers that its tasks start."""

    instance: Airflow
    servers: Path

    def server(self) -> ServerRecord:
        (record,) = all_records(self.servers)
        return record

    def await_dags(self) -> None:
        listed = ("dags", "list")
        wait_for(lambda: "warm_model" in self.instance.command(*listed), "the DAG is there")

    def trigger(self, count: int) -> None:
        """Start a run that reads the page in ``count`` mapped tasks at once."""
        conf = json.dumps({"documents": [PAGE] * count})
        before = len(self.run_states())
        self.instance.command("dags", "trigger", "warm_model", "--conf", conf)
        assert len(self.run_states()) == before + 1

    def await_success(self) -> None:
        """Wait until the newest run has succeeded."""
        ends = ("success", "failed")
        wait_for(lambda: self.run_states()[-1] in ends, "the run ends")
        assert self.run_states()[-1] == "success", self.task_logs()

    def run(self, count: int) -> None:
        self.trigger(count)
        self.await_success()

    def run_states(self) -> list[str]:
        return self.query("SELECT state FROM dag_run WHERE dag_id = 'warm_model' ORDER BY id")

    def query(self, statement: str) -> list[Any]:
        """Return the first column of a query on the metadata database."""
        engine = sqlalchemy.create_engine(self.instance.metadata_url, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            return list(connection.execute(sqlalchemy.text(statement)).scalars())

    def task_logs(self) -> str:
        logs = sorted((self.instance.home / "logs").rglob("attempt=*.log"))
        return "\n".join(path.read_text() for path in logs)

    def await_idle_end(self, server: ServerRecord, idle_s: float) -> None:
        assert server.process() is not None
        wait_for(lambda: server.process() is None, "the idle server stops", 3 * idle_s)
        assert list(all_records(self.servers)) == []


@contextmanager
def warm_model(
    directory: Path,
    executor: str,
    settings: Mapping[str, str],
    metadata_url: str | None = None,
) -> Iterator[WarmModel]:
    servers = directory / "s"
    extra = {
        "engine": "resident", "model": str(TINY_MODEL), "device": "cpu", "resolution": "tiny",
        "max_output_length": 40, "retry_with": "none", "idle_seconds": IDLE_S[executor],
    }  # fmt: skip
    connections = {
        "deepseek_ocr_db": {"conn_type": "sqlite", "host": str(directory / "results.db")},
        "deepseek_ocr_default": {"conn_type": "deepseek_ocr", "extra": extra},
    }
    settings = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": executor,
        "AIRFLOW__CORE__PARALLELISM": "8",
        "DEEPSEEK_OCR_SERVERS": str(servers),
        "OMP_NUM_THREADS": "1",
        **settings,
    }
    with airflow(connections, settings, metadata_url) as instance:
        yield WarmModel(instance, servers)


@pytest.mark.slow
def test_a_server_outlives_the_tasks_that_use_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with warm_model(tmp_path, "LocalExecutor", {"KILLED_TASK_PID": str(pid_file)}) as warm:
        with standalone(warm.instance):
            warm.await_dags()
            warm.run(1)
            first = warm.server()
            assert "Started a server" in warm.task_logs()
            warm.run(8)
            assert warm.server().pid == first.pid
            logs = warm.task_logs()
            assert logs.count("Started a server") == 1
            assert str(first.endpoint.api_key) not in logs

            warm.instance.command("dags", "trigger", "killed_task")
            victim = int(wait_for(lambda: pid_file.exists() and pid_file.read_text(), "the task"))
            os.killpg(os.getpgid(victim), signal.SIGKILL)
            wait_for(lambda: not psutil.pid_exists(victim), "the task is gone")
            assert warm.server().pid == first.pid
            assert first.process() is not None
        # Scheduler and executor were stopped with SIGTERM.
        warm.await_idle_end(first, IDLE_S["LocalExecutor"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_outlives_a_task_that_is_marked_failed(tmp_path: Path) -> None:
    """A task is marked failed while it runs, as in the UI: Airflow kills its process."""
    pid_file = tmp_path / "pid"
    settings = {"KILLED_TASK_PID": str(pid_file), "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2"}
    with warm_model(tmp_path, "LocalExecutor", settings) as warm, standalone(warm.instance):
        warm.await_dags()
        warm.instance.command("dags", "trigger", "killed_task", "--run-id", "marked")
        task = int(wait_for(lambda: pid_file.exists() and pid_file.read_text(), "the task"))
        first = warm.server()
        assert psutil.Process(task).is_running()
        mark_failed(warm.instance, "killed_task", "marked", "wait_to_be_killed")
        wait_for(lambda: not psutil.pid_exists(task), "Airflow kills the task")
        states = "SELECT state FROM task_instance WHERE task_id = 'wait_to_be_killed'"
        assert warm.query(states) == ["failed"]
        assert first.process() is not None
        warm.run(2)
        assert warm.server().pid == first.pid
        logs = warm.task_logs()
        assert logs.count("Started a server") == 1
        assert str(first.endpoint.api_key) not in logs


def mark_failed(instance: Airflow, dag_id: str, run_id: str, task_id: str) -> None:
    """Mark a task instance as failed, through the UI's API."""
    with httpx.Client(base_url=instance.url, timeout=30, trust_env=False) as client:
        token = client.get("/auth/token").raise_for_status().json()["access_token"]
        answer = client.patch(
            f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1",
            json={"new_state": "failed"},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert answer.status_code == 200, answer.text


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_outlives_the_celery_worker_that_started_it(
    tmp_path: Path,
) -> None:
    with redis_server() as broker, postgres() as metadata:
        settings = {
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
        }
        with warm_model(tmp_path, "CeleryExecutor", settings, metadata.sqlalchemy_url) as warm:
            with without_workers(warm.instance):
                warm.await_dags()
                with celery_worker(warm.instance) as worker:
                    warm.run(1)
                    first = warm.server()
                    warm.run(4)
                    assert warm.server().pid == first.pid
                    # Celery's own table: it ran each of these tasks.
                    assert len(warm.query("SELECT id FROM celery_taskmeta")) == 2 + 5

                    warm.trigger(4)
                    running = (
                        "SELECT 1 FROM task_instance WHERE task_id = 'read' AND state = 'running'"
                    )
                    wait_for(lambda: warm.query(running), "a task reads")
                    worker.stop(timeout_s=60)
                    assert worker.exit_status == 0, worker.log_tail()
                    assert "Warm shutdown" in worker.log.read_text()
                assert first.process() is not None
                with celery_worker(warm.instance):
                    warm.await_success()
                    warm.run(1)
                assert warm.server().pid == first.pid
                logs = warm.task_logs()
                assert logs.count("Started a server") == 1
                assert str(first.endpoint.api_key) not in logs
            warm.await_idle_end(first, IDLE_S["CeleryExecutor"])
