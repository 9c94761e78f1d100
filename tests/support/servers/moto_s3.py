"""moto's S3, and its other AWS services, on one endpoint in a separate process."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .process import (
    LOOPBACK,
    START_TIMEOUT_S,
    Process,
    ServerUnavailable,
    data_directory,
    free_port,
    wait_until,
)
from .s3 import S3Server, http_answers

ACCESS_KEY, SECRET_KEY, REGION = "testing", "testing-secret", "us-east-1"


def moto_process(directory: Path, port: int) -> Process:
    """Return a moto server that is not started yet.

    :raises ServerUnavailable: moto is not installed.
    """
    if not (importlib.util.find_spec("moto") and importlib.util.find_spec("flask")):
        raise ServerUnavailable("moto's server is missing: pip install 'moto[server]'")
    argv = [sys.executable, "-m", "moto.server", "--host", LOOPBACK, "--port", str(port)]
    return Process(argv, directory, directory / "server.log")


def start_moto(process: Process, port: int) -> None:
    """Start moto and wait until it answers.

    :raises RuntimeError: the process ends.
    :raises TimeoutError: it does not answer in time.
    """
    process.start()
    wait_until(lambda: http_answers(port), START_TIMEOUT_S, "moto answers", process)


@contextmanager
def moto_s3() -> Iterator[S3Server]:
    """Run a moto server. It accepts any secret key, and keeps its objects in memory.

    :raises ServerUnavailable: moto is not installed.
    :raises RuntimeError: the process ends.
    :raises TimeoutError: it does not answer in time.
    """
    with data_directory() as directory:
        port = free_port()
        process = moto_process(directory, port)
        try:
            start_moto(process, port)
            yield S3Server(f"http://{LOOPBACK}:{port}", ACCESS_KEY, SECRET_KEY, REGION)
        finally:
            process.stop()
