"""A separate Airflow for a test: home, connections, one DAG run or all components."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from .process import LOOPBACK, Process, data_directory, free_port, wait_until
from .s3 import S3Server, http_answers

ROOT = Path(__file__).parents[3]
DAGS = ROOT / "airflow_deepseek_ocr" / "example_dags"
MIGRATE_TIMEOUT_S = 120
RUN_TIMEOUT_S = 240
#: Of several DAGs in one process.
RUNS_TIMEOUT_S = 540
#: The four processes of Airflow 3.1 took 70 s on two cores with a load of 15 before they served.
START_TIMEOUT_S = 300
STOP_TIMEOUT_S = 40


@dataclass(frozen=True)
class Airflow:
    """A migrated Airflow.

    :param home: its directory.
    :param env: the environment of its processes.
    :param url: URL of its API server.
    :param metadata_url: its metadata database, for SQLAlchemy.
    """

    home: Path
    env: dict[str, str] = field(repr=False)
    url: str
    metadata_url: str = field(repr=False)

    def command(self, *arguments: str, timeout_s: float = RUN_TIMEOUT_S) -> str:
        """Run ``airflow ...`` and return its output.

        :raises AssertionError: the command failed.
        """
        return self._python("airflow", *arguments, timeout_s=timeout_s)

    def _python(self, *arguments: str, timeout_s: float) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            env=self.env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(arguments)}:\n{done.stdout[-8000:]}"
        return done.stdout

    def test_dag(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Run a DAG in one process, with real tasks and connections, and return the log."""
        options = ["--conf", json.dumps(conf)] if conf else []
        return self.command("dags", "test", dag_id, *options)

    def test_dags(self, confs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[str]]]:
        """Run DAGs one after the other in one process, and return the states of their tasks.

        :param confs: by DAG.
        """
        program = "tests.support.servers.dag_runs"
        output = self._python(program, json.dumps(confs), timeout_s=RUNS_TIMEOUT_S)
        states: dict[str, dict[str, list[str]]] = json.loads(output.splitlines()[-1])
        return states


def aws_connection(server: S3Server) -> dict[str, Any]:
    """Return an Airflow connection to an S3 server."""
    return {
        "conn_type": "aws",
        "login": server.access_key,
        "password": server.secret_key,
        "extra": {"endpoint_url": server.endpoint_url, "region_name": server.region},
    }


@contextmanager
def airflow(
    connections: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, str] | None = None,
    metadata_url: str | None = None,
    *,
    base_path: str = "",
) -> Iterator[Airflow]:
    """Set up a migrated Airflow whose DAGs are the project's examples.

    :param connections: by connection id.
    :param settings: further environment variables.
    :param metadata_url: an empty metadata database; None creates one of SQLite in its directory.
    :param base_path: path of its URL for people, as behind a proxy that serves several programs.
    """
    with data_directory() as home:
        port = free_port()
        url = f"http://{LOOPBACK}:{port}"
        metadata_url = metadata_url or f"sqlite:///{home}/airflow.db"
        env = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
        env |= {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata_url,
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"{url}{base_path}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            **{
                f"AIRFLOW_CONN_{name.upper()}": json.dumps(value)
                for name, value in connections.items()
            },
            **(settings or {}),
        }
        instance = Airflow(home, env, url, metadata_url)
        instance.command("db", "migrate", timeout_s=MIGRATE_TIMEOUT_S)
        yield instance


@contextmanager
def _running(instance: Airflow, *command: str) -> Iterator[Process]:
    """Run ``airflow ...`` until the block ends, without waiting until it is ready."""
    process = Process(
        [sys.executable, "-m", "airflow", *command],
        instance.home,
        instance.home / f"{'-'.join(command)}.log",
        env=instance.env,
    )
    process.start()
    try:
        yield process
    finally:
        process.stop(timeout_s=STOP_TIMEOUT_S)


def _await_api(instance: Airflow, process: Process) -> None:
    port = int(instance.url.rpartition(":")[2])
    wait_until(lambda: http_answers(port), START_TIMEOUT_S, "Airflow answers", process)


@contextmanager
def standalone(instance: Airflow) -> Iterator[Process]:
    """Run scheduler, triggerer, DAG processor and API server until the block ends.

    ``airflow standalone`` uses the LocalExecutor in all cases.
    """
    with _running(instance, "standalone") as process:
        _await_api(instance, process)
        yield process


@contextmanager
def api_server(instance: Airflow) -> Iterator[Process]:
    """Run the API server alone until the block ends."""
    with _running(instance, "api-server") as process:
        _await_api(instance, process)
        yield process


@contextmanager
def without_workers(instance: Airflow) -> Iterator[None]:
    """Run scheduler, DAG processor and API server, for an executor with separate worker processes."""
    with (
        _running(instance, "api-server") as api_server,
        _running(instance, "dag-processor"),
        _running(instance, "scheduler") as scheduler,
    ):
        _await_api(instance, api_server)

        def schedules() -> bool:
            health = httpx.get(f"{instance.url}/api/v2/monitor/health", timeout=10).json()
            return bool(health["scheduler"]["status"] == "healthy")

        wait_until(schedules, START_TIMEOUT_S, "the scheduler is healthy", scheduler)
        yield


@contextmanager
def triggerer(instance: Airflow) -> Iterator[Process]:
    """Run the triggerer until the block ends; the test may kill it and start it again."""
    with _running(instance, "triggerer") as process:
        yield process


@contextmanager
def celery_worker(instance: Airflow) -> Iterator[Process]:
    """Run a worker of the CeleryExecutor; after SIGTERM it finishes its tasks."""
    with _running(instance, "celery", "worker") as process:
        # A second worker appends to the first one's log.
        ready = process.log.read_text().count(" ready.") + 1
        wait_until(
            lambda: process.log.read_text().count(" ready.") >= ready,
            START_TIMEOUT_S,
            "the Celery worker is ready",
            process,
        )
        yield process
