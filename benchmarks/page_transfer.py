"""CPU time of handing a page to the resident server: python -m benchmarks.page_transfer

A real model server listens on a Unix socket, with an engine that answers at once, and the HTTP engine of a
task reads pages through it. The time is all that the resident server adds to the in-process engine: files
or requests, HTTP, JSON, threads. Each run has a separate server.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image

from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.in_process.capacity import Occupancy
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.model_server.listen_address import ListenAddress
from airflow_deepseek_ocr.model_server.main import run
from airflow_deepseek_ocr.model_server.service import Model, Service
from airflow_deepseek_ocr.ocr.channels import drop_color
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.deepseek_ocr import DEEPSEEK_OCR
from airflow_deepseek_ocr.ocr.families.family import ModelFamily
from airflow_deepseek_ocr.ocr.page_pixels import PagePixels
from benchmarks.pipeline.one_run import SERVER, probabilities_of
from benchmarks.workload import draw_pages
from tests.support.fixtures.page_pixels import pixels_of

#: Slots of the in-process engine on a large card.
SLOTS = 384
#: About 800 tokens.
_TEXT = "important market report number receipt\n" * 100
_START_TIMEOUT_S = 180.0


class InstantEngine:
    """An engine that answers each page at once, as far as the server uses one.

    :param text: the output of each page.
    """

    device, dtype, page_length, preempted_pages = "cpu", "torch.float32", 8192, 0
    decoding = Decoding()
    clock = SimpleNamespace(seconds=dict)

    def __init__(self, text: str) -> None:
        self._text = text
        self._probabilities = probabilities_of(text)

    def family(self) -> ModelFamily:
        """Return the published model's family."""
        return DEEPSEEK_OCR

    def plan(self) -> SimpleNamespace:
        """Return a large card's slots."""
        return SimpleNamespace(slots=SLOTS)

    def occupancy(self) -> Occupancy:
        """Return nothing: no page stays."""
        return Occupancy()

    def works(self) -> bool:
        """Return True."""
        return True

    def read(self, requests: Iterable[PageRequest]) -> Iterator[PageOutput]:
        """Yield the same output for each page."""
        for request in requests:
            yield PageOutput(
                key=request.key,
                text=self._text,
                finish_reason=FinishReason.STOP,
                vision_tokens=903,
                prompt_tokens=910,
                text_tokens=800,
                token_probabilities=self._probabilities,
            )


def serve(socket: Path, files: bool, spent: Connection, text: str = _TEXT) -> None:
    """Run the server, which answers each page with the text.

    :param socket: where it listens.
    :param files: whether it takes pages as files.
    :param spent: anything that arrives there asks for the server's CPU seconds.
    :param text: the output of each page.
    """

    def answer() -> None:
        while True:
            spent.recv()
            spent.send(cpu_seconds())

    threading.Thread(target=answer, daemon=True).start()
    engine: Any = InstantEngine(text)

    def make(leave: Any) -> Service:
        return Service(
            Model(directory=socket.parent, name=SERVER),
            page_directory=page_directory(socket) if files else None,
            load=lambda _: engine,
            on_end=leave,
        )

    run(make, api_key=SERVER, address=ListenAddress(socket_path=socket), idle_s=None)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(count: int, *, scanned: bool, files: bool) -> dict[str, object]:
    """Return CPU ms of both processes for each page, and pages a second."""
    pages = [as_rendered(each) for each in draw_pages(min(count, 16), scanned=scanned)]
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        socket = Path(directory) / "server.sock"
        here, there = context.Pipe()
        server = context.Process(target=serve, args=(socket, files, there), daemon=True)
        server.start()
        try:
            engine = ready_engine(Endpoint("http://localhost", SERVER, socket))
            list(engine.read(requests(pages, 16)))  # connections, and what is made once
            here.send(None)
            before, own, started = here.recv(), cpu_seconds(), time.monotonic()
            outputs = list(engine.read(requests(pages, count)))
            seconds, own = time.monotonic() - started, cpu_seconds() - own
            here.send(None)
            theirs = here.recv() - before
        finally:
            server.terminate()
            server.join()
    failed = [each.error for each in outputs if each.error is not None or each.text != _TEXT]
    if failed or len(outputs) != count:
        raise SystemExit(f"{len(failed)} of {len(outputs)} pages failed: {failed[:1]}")
    return {
        "pages": "scans" if scanned else "rendered",
        "transfer": "files" if files else "requests",
        "task_cpu_ms": round(1000 * own / count, 1),
        "server_cpu_ms": round(1000 * theirs / count, 1),
        "pages_per_s": round(count / seconds, 1),
    }


def ready_engine(endpoint: Endpoint) -> HttpEngine:
    engine = HttpEngine(lambda: endpoint, model=SERVER)
    end = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            engine.check()
        except UnavailableError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return engine


def as_rendered(image: Image.Image) -> PagePixels:
    """Return a page as it comes from a rendering process."""
    return pixels_of(drop_color(image.convert("RGB")))


def requests(pages: list[Any], count: int) -> Iterator[PageRequest]:
    for number in range(count):
        image = pages[number % len(pages)]
        yield PageRequest(key=number, image=image, prompt="markdown", resolution="gundam")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--transfers", nargs="+", default=["files"], choices=["files", "requests"])
    options = parser.parse_args()
    for scanned in (False, True):
        for transfer in options.transfers:
            result = measure(options.pages, scanned=scanned, files=transfer == "files")
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
