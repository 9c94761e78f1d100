"""A real Airflow of a test's own: its home, its connections, one DAG run or the whole of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .process import LOOPBACK, Process, data_folder, free_port, wait_until
from .s3 import S3Server, http_answers

DAGS = Path(__file__).parents[2] / "dags"
MIGRATE_TIMEOUT_S = 120
RUN_TIMEOUT_S = 240
STANDALONE_TIMEOUT_S = 120


@dataclass(frozen=True)
class Airflow:
    """A migrated Airflow with SQLite metadata.

    :param home: its folder.
    :param env: the environment of its processes.
    :param url: where its API server answers, once it is started.
    """

    home: Path
    env: dict[str, str]
    url: str

    def command(self, *arguments: str, timeout_s: float = RUN_TIMEOUT_S) -> str:
        """Run ``airflow ...`` and return its output; raises AssertionError where it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"airflow {' '.join(arguments)}:\n{done.stdout[-8000:]}"
        return done.stdout

    def test_dag(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Run a DAG in one process, with real tasks and connections; returns the log."""
        options = ["--conf", json.dumps(conf)] if conf else []
        return self.command("dags", "test", dag_id, *options)


def aws_connection(server: S3Server) -> dict[str, Any]:
    """An Airflow connection to an S3 server."""
    return {
        "conn_type": "aws",
        "login": server.access_key,
        "password": server.secret_key,
        "extra": {"endpoint_url": server.endpoint_url, "region_name": server.region},
    }


@contextmanager
def airflow(
    connections: Mapping[str, Mapping[str, Any]], settings: Mapping[str, str] | None = None
) -> Iterator[Airflow]:
    """A migrated Airflow whose DAGs are the project's examples.

    :param connections: by connection id.
    :param settings: more environment variables.
    """
    with data_folder() as home:
        port = free_port()
        url = f"http://{LOOPBACK}:{port}"
        env = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
        env |= {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": url,
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
        instance = Airflow(home, env, url)
        instance.command("db", "migrate", timeout_s=MIGRATE_TIMEOUT_S)
        yield instance


@contextmanager
def standalone(instance: Airflow) -> Iterator[Process]:
    """Scheduler, triggerer, DAG processor and API server, until the block ends."""
    process = Process(
        [sys.executable, "-m", "airflow", "standalone"],
        instance.home,
        instance.home / "standalone.log",
        env=instance.env,
    )
    process.start()
    try:
        port = int(instance.url.rpartition(":")[2])
        wait_until(lambda: http_answers(port), STANDALONE_TIMEOUT_S, "Airflow answers", process)
        yield process
    finally:
        process.stop(timeout_s=40)
