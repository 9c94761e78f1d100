"""A real server with the small checkpoint, and pages to send to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from airflow_deepseek_ocr.engines.protocol.api_key import read_api_key
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.supervisor.registry import (
    DIRECTORY_VARIABLE,
    ServerRecord,
    all_records,
    load_record,
    servers_directory,
)
from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.model_server.admission import PAGE_TOKENS
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from tests.conftest import ROOT, TINY_MODEL
from tests.support.fakes.fault_server import Faults, fault_server
from tests.support.servers.process import LOOPBACK, Process, free_port, wait_until

START_TIMEOUT_S = 120
#: What the server calls the checkpoint.
MODEL = "tiny"
#: A server as tasks start it.
SPEC = ResidentServerSpec(
    model_directory=TINY_MODEL, model=MODEL, device="cpu", batch_size=2, idle_s=120
)
#: Pages of which nothing is known yet.
MAX_PENDING = 6
MAX_BODY_MB = 4


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """For all servers that tests start."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    if before is None:
        del os.environ["OMP_NUM_THREADS"]
    else:
        os.environ["OMP_NUM_THREADS"] = before


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of the servers that outlive their starters; they end with the tests."""
    directory = tmp_path_factory.mktemp("s", numbered=False)
    os.environ[DIRECTORY_VARIABLE] = str(directory)
    yield servers_directory()
    for record in all_records(directory):
        if process := record.process():
            process.kill()
    del os.environ[DIRECTORY_VARIABLE]


def record_of(servers: Path, spec: ResidentServerSpec = SPEC) -> ServerRecord:
    """Return the record of that server."""
    record = load_record(servers, spec.key)
    assert record is not None
    return record


@pytest.fixture
def started(servers: Path) -> ServerRecord:
    """A server that is ready; the same one as long as no test ends it."""
    Supervisor(SPEC, servers, START_TIMEOUT_S).find()
    return record_of(servers)


@dataclass(frozen=True)
class Server:
    process: Process
    endpoint: Endpoint

    def client(self, timeout: float = 60) -> httpx.Client:
        return self.endpoint.client(httpx.Timeout(timeout))

    def metric(self, line: str) -> float:
        """The value of a metric with its labels as they are printed; 0 if it is not there."""
        with self.client() as client:
            for each in client.get("/metrics").text.splitlines():
                if each.startswith(line + " "):
                    return float(each.rpartition(" ")[2])
        return 0.0


def start_server(directory: Path, *options: object) -> Server:
    """``airflow-deepseek-ocr serve`` on a TCP port, ready."""
    port = free_port()
    argv = [
        sys.executable, "-m", "airflow_deepseek_ocr.cli", "serve", TINY_MODEL, "--name", MODEL,
        "--port", port, "--api-key-file", directory / "api_key", "--device", "cpu", *options,
    ]  # fmt: skip
    process = Process(list(map(str, argv)), directory, directory / "log")
    process.start()

    def ready() -> bool:
        try:
            return httpx.get(f"http://{LOOPBACK}:{port}/health/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False

    wait_until(ready, START_TIMEOUT_S, "the server is ready", process)
    api_key = read_api_key(directory / "api_key")
    return Server(process, Endpoint(f"http://{LOOPBACK}:{port}", api_key))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(
        tmp_path_factory.mktemp("server"),
        *("--max-pending-tokens", MAX_PENDING * PAGE_TOKENS, "--max-body-mb", MAX_BODY_MB),
    )
    yield running
    running.process.stop()


@pytest.fixture
def faults() -> Iterator[Faults]:
    """A server that fails as a test says."""
    with fault_server(Faults()) as running:
        yield running


@pytest.fixture(scope="session")
def table() -> Image.Image:
    return _page("table.png", 72)


@pytest.fixture(scope="session")
def invoice() -> Image.Image:
    return _page("invoice.pdf", 100)


def _page(name: str, dpi: int) -> Image.Image:
    with open_document(ROOT / "demo" / "documents" / name, dpi=dpi) as document:
        return document.page(1).image


@pytest.fixture(scope="session")
def mixed(table: Image.Image, invoice: Image.Image) -> list[PageRequest]:
    """Pages in several modes, with several prompts and lengths, one of them in tiles."""
    return [
        PageRequest(
            key="tiles", image=invoice, prompt="markdown", resolution="gundam", max_output_length=20
        ),
        PageRequest(
            key="small", image=invoice, prompt="free", resolution="small", max_output_length=60
        ),
        PageRequest(
            key="locate",
            image=table,
            prompt="locate:Month",
            resolution="small",
            max_output_length=60,
        ),
        PageRequest(
            key="tiny", image=table, prompt="markdown", resolution="tiny", max_output_length=40
        ),
        PageRequest(key="ocr", image=table, prompt="ocr", resolution="tiny", max_output_length=25),
    ]


@pytest.fixture(scope="session")
def expected(in_process: dict[str, PageOutput]) -> dict[str, tuple[str, str, int, int]]:
    """What the in-process engine reads from them."""
    return {
        key: (output.text, str(output.finish_reason), output.vision_tokens, output.text_tokens)
        for key, output in in_process.items()
    }


@pytest.fixture(scope="session")
def in_process(mixed: list[PageRequest]) -> dict[str, PageOutput]:
    """Its outputs."""
    import torch

    from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    engine = InProcessEngine(TINY_MODEL, device="cpu")
    outputs = {str(output.key): output for output in engine.read(mixed)}
    engine.close()
    torch.set_num_threads(threads)
    return outputs
