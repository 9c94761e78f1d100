"""The worker's other end: jobs go out, and what became of their processes comes back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.engines.supervisor.registry import DIRECTORY_VARIABLE
from tests.chaos.servers import Bucket, Results

_START_TIMEOUT_S = 120


@dataclass(frozen=True)
class Ended:
    """A job whose process is over.

    :param status: its exit status; negative for the signal that killed it, None with its worker.
    :param result: what it returned, if it ended well.
    """

    job: int
    status: int | None
    result: Any


class WorkerProcess:
    """One worker that runs jobs, each in a separate process.

    :param directory: for logs and results.
    :param env: the environment of the processes.
    """

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._directory, self._env = directory, dict(env)
        self._running: dict[int, int | None] = {}
        self._rest = b""
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the worker; returns when it takes jobs."""
        log = (self._directory / "worker.log").open("ab")
        with log:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._env,
                start_new_session=True,
            )
        assert self._worker.stdout is not None
        line = self._worker.stdout.readline()
        if not line:
            raise RuntimeError((self._directory / "worker.log").read_text()[-4000:])
        os.set_blocking(self._worker.stdout.fileno(), False)
        self._rest = b""

    def send(self, job: int, kind: str, **arguments: Any) -> None:
        """Have a job run."""
        message = {
            "id": job,
            "kind": kind,
            "log": str(self._directory / f"{job}.log"),
            "result": str(self._result(job)),
            **arguments,
        }
        assert self._worker is not None
        assert self._worker.stdin is not None
        self._running[job] = None
        with contextlib.suppress(BrokenPipeError):
            self._worker.stdin.write(json.dumps(message).encode() + b"\n")
            self._worker.stdin.flush()

    def ended(self) -> list[Ended]:
        """The jobs that ended since the last call, also with a worker that died."""
        assert self._worker is not None
        assert self._worker.stdout is not None
        found = []
        data = self._worker.stdout.read()
        if data:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "started" in message and message["started"] in self._running:
                    self._running[message["started"]] = message["pid"]
                elif "ended" in message and message["ended"] in self._running:
                    del self._running[message["ended"]]
                    found.append(self._end(message["ended"], message["status"]))
        elif self._worker.poll() is not None:
            found = [self._end(job, None) for job in self._running]
            self._running.clear()
        return found

    def signal(self, job: int, number: signal.Signals) -> bool:
        """Send a signal to a job's process; False if it does not run."""
        pid = self._running.get(job)
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def pid(self, job: int) -> int | None:
        """The process that runs a job, if one does."""
        return self._running.get(job)

    def kill(self) -> None:
        """Kill the worker, and with it all its jobs."""
        assert self._worker is not None
        self._worker.kill()
        self._worker.wait()

    def stop(self) -> None:
        """Let the worker end, with whatever still runs."""
        if self._worker is not None and self._worker.poll() is None:
            self.kill()

    def log(self, job: int) -> str:
        """What a job wrote."""
        path = self._directory / f"{job}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _end(self, job: int, status: int | None) -> Ended:
        path = self._result(job)
        result = json.loads(path.read_text()) if status == 0 and path.exists() else None
        return Ended(job, status, result)

    def _result(self, job: int) -> Path:
        return self._directory / f"{job}.json"


def servers_directory(temporary: Path) -> Path:
    """Return the directory of server records. It is short, because sockets are below it."""
    path = temporary / "s"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def environment(
    bucket: Bucket,
    results: Results,
    directory: Path,
    model: Path,
    *,
    server: Path | None = None,
    temporary: Path | None = None,
    servers: int = 1,
) -> dict[str, str]:
    """Of a worker's processes: connections, and an Airflow home in ``directory``.

    :param server: program that starts the model's server in place of Python; Python if None.
    :param temporary: directory for temporary files, and for server records;
        ``directory`` if None.
    :param servers: number of model servers, each for a GPU by name; the scripted one needs none.
    """
    extra = {"model": str(model), "resolution": "tiny", "max_output_length": 40}
    extra |= {"engine": "resident", "retry_with": "none", "batch_size": 3, "idle_seconds": 60}
    if servers > 1:
        extra["device"] = ",".join(f"cuda:{number}" for number in range(servers))
    if server is not None:
        extra["server_python"] = str(server)
    connections = {
        "AWS_DEFAULT": bucket.connection(),
        "DEEPSEEK_OCR_DB": results.connection,
        "DEEPSEEK_OCR_DEFAULT": {"conn_type": "deepseek_ocr", "extra": extra},
    }
    home = directory / "airflow"
    home.mkdir()
    env = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # workers are started many times
    temporary = temporary or directory
    return env | {
        "TMPDIR": str(temporary),
        "AIRFLOW__DEEPSEEK_OCR__ALLOW_COMMANDS": str(server or ""),
        DIRECTORY_VARIABLE: str(servers_directory(temporary)),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AWS_MAX_ATTEMPTS": "2",  # with more, boto3 outlasts most faults
        "OMP_NUM_THREADS": "1",
        **{f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()},
    }
