"""A deployment of docker/ beside others: with another name, other ports and secrets."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.compose.program import compose_command
from tests.conftest import ROOT
from tests.docker.client import Docker

EXAMPLES = "airflow_deepseek_ocr/example_dags"
#: Longest start and longest wait for rows: on two busy cores, Airflow's parts take minutes each.
START_S = 900
ROWS_S = 900


class Stack:
    """A copy of docker/ and of what it mounts, with the images that the tests have built.

    :param docker: client and daemon.
    :param directory: an empty directory for the copy.
    :param images: variables that name the images.
    """

    def __init__(self, docker: Docker, directory: Path, images: dict[str, str]) -> None:
        self.docker = docker
        self.directory = directory / "checkout"
        self.project = f"deepseek-ocr-test-{secrets.token_hex(4)}"
        self.port = _free_port()
        for name in ("docker", EXAMPLES, "models/deepseek-ocr-tiny"):
            ignored = shutil.ignore_patterns(".env", "__pycache__")
            shutil.copytree(ROOT / name, self.directory / name, ignore=ignored)
        # Lost tasks are found sooner than after five minutes.
        self._write_overlay()
        programs = directory / "programs"
        programs.mkdir()
        (programs / "docker").symlink_to(docker.environment["DOCKER"])
        if len(compose_command()) == 1:
            (programs / "docker-compose").symlink_to(compose_command()[0])
        self.environment = (
            {
                name: value
                for name, value in os.environ.items()
                if name not in ("MODEL", "GPU", "WITH")
            }
            | docker.environment
            | images
            | {
                "PATH": f"{programs}:{os.environ['PATH']}",
                "COMPOSE_PROJECT_NAME": self.project,
                "AIRFLOW_PORT": str(self.port),
                "S3_PORT": str(_free_port()),
                "POLL_SECONDS": "5",
            }
        )

    def _write_overlay(self) -> None:
        compose = self.directory / "docker" / "compose.yaml"
        text = compose.read_text()
        setting = '  AIRFLOW__CORE__LOAD_EXAMPLES: "false"\n'
        assert setting in text
        compose.write_text(
            text.replace(
                setting,
                f"{setting}  AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT: '60'\n"
                "  AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL: '5'\n",
            )
        )

    def command(self, *arguments: str, timeout_s: float = START_S + 300) -> str:
        """Run a command of docker/ and return its output.

        :param arguments: ``up``, ``down`` or ``drop``, and its arguments.
        :param timeout_s: longest wait in seconds.
        """
        done = subprocess.run(
            [self.directory / "docker" / arguments[0], *arguments[1:]],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def container(self, service: str) -> str:
        """Name of a service's container."""
        return f"{self.project}-{service}-1"

    def shell(self, service: str, script: str) -> str:
        """Return the output of a script in a service's container."""
        return self.docker("exec", self.container(service), "sh", "-c", script)

    def rows(self, query: str) -> list[list[str]]:
        """Return the rows of a query on the results."""
        psql = (
            "psql",
            "-U",
            "ocr",
            "--no-align",
            "--tuples-only",
            "--field-separator=|",
            "-c",
            query,
        )
        output = self.docker("exec", self.container("postgres"), *psql)
        return [line.split("|") for line in output.splitlines() if line]

    def documents(self) -> dict[str, str]:
        """Return the status of each document by the name of its object."""
        if self.rows("SELECT to_regclass('ocr_documents')") == []:
            return {}
        found = self.rows("SELECT uri, status FROM ocr_documents")
        return {uri.removeprefix("s3://documents/"): status for uri, status in found}

    def wait(self, condition: Callable[[], bool], reason: str, timeout_s: float = ROWS_S) -> None:
        """Wait for a condition; fail with the reason and the documents."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"{reason} within {timeout_s} s: {self.documents()}"
            time.sleep(1)

    def wait_for_documents(self, *names: str) -> None:
        """Wait until documents are processed without an error."""
        self.wait(
            lambda: all(self.documents().get(name) == "done" for name in names),
            f"No rows of {names}",
        )

    def api(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Return the answer of Airflow's REST API, as the administrator."""
        login = {"username": "admin", "password": self.secret("ADMIN_PASSWORD")}
        token = self._call("/auth/token", "POST", login)["access_token"]
        return self._call(f"/api/v2/{path}", method, body, token)

    def secret(self, name: str) -> str:
        """Return a variable of the deployment's file .env."""
        text = (self.directory / "docker" / ".env").read_text()
        return next(
            line.split("=", 1)[1] for line in text.splitlines() if line.startswith(f"{name}=")
        )

    def _call(self, path: str, method: str, body: Any = None, token: str = "") -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"}
            | ({"Authorization": f"Bearer {token}"} if token else {}),
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
