"""The images, built once for all tests of this directory.

On hosts that reach no image registry, tools/docker-stand-ins has made the base images (make test-docker).
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock

from tests.docker.client import Docker

#: Port of the loopback at which builds find pip's directory of wheels.
WHEELS_PORT = 28799
BASE = "apache/airflow:3.3.2-python3.11"


@dataclass(frozen=True)
class Images:
    """Names of the built images."""

    airflow: str = "airflow-deepseek-ocr:airflow"
    worker: str = "airflow-deepseek-ocr:worker"
    server: str = "airflow-deepseek-ocr:server"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this directory."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def docker() -> Docker:
    """The client; a daemon is started if none answers."""
    return Docker()


@pytest.fixture(scope="session")
def images(docker: Docker) -> Images:
    """Images of all targets, with torch for CPUs; layers that have not changed are not built again."""
    images = Images()
    with torch_for_cpus() as torch:
        docker.build("airflow", images.airflow, ["REVISION=0123abc"])
        docker.build("worker", images.worker, ["REVISION=0123abc", *torch])
        docker.build("server", images.server, ["REVISION=0123abc", *torch])
    return images


@contextmanager
def torch_for_cpus() -> Iterator[list[str]]:
    """Yield the build arguments: as in the Makefile, from pip's directory of wheels or PyTorch's index."""
    directory = os.environ.get("PIP_FIND_LINKS")
    if not directory:
        yield ["TORCH_BACKEND=cpu"]
        return
    handler = partial(SimpleHTTPRequestHandler, directory=directory)
    # Another port would be another build argument, which builds the layer again; so test runs take turns.
    with (
        FileLock(Path(tempfile.gettempdir(), f"deepseek-ocr-wheels-{WHEELS_PORT}.lock")),
        ThreadingHTTPServer(("127.0.0.1", WHEELS_PORT), handler) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield ["TORCH=torch==2.13.0", f"TORCH_WHEELS=http://127.0.0.1:{WHEELS_PORT}/"]
        finally:
            server.shutdown()
