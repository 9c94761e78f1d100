"""Documents in S3 to rows on GPUs, beside the engine's pages per second on the same pages in the same run.

Each page has a text of 100 to 2,000 tokens, 800 on average, whatever the model writes; the rows get a
recorded text of about that length. The tasks are processes with the operator's pipeline, which share the
resident servers and one database. Documents, clients of the servers alone, and tasks are as many for each
GPU, so that runs with other numbers of GPUs can be compared.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import boto3
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.connection.options import OcrOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.engines.balancing.engine import BalancedEngine, NamedEngine
from airflow_deepseek_ocr.engines.factory import START_TIMEOUT_S
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.hardware.devices import split_devices
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.engine_protocol import (
    Engine,
    PageRequest,
)
from airflow_deepseek_ocr.ocr.exports.formats import parse_formats
from airflow_deepseek_ocr.ocr.page_pixels import PageImage
from airflow_deepseek_ocr.ocr.rendering.renderer import Renderer
from airflow_deepseek_ocr.pipeline.exports.export_queue import ExportPlan
from airflow_deepseek_ocr.pipeline.options import PipelineOptions
from airflow_deepseek_ocr.pipeline.pipeline import Pipeline
from airflow_deepseek_ocr.sources.base import Sources
from airflow_deepseek_ocr.sources.s3 import S3Source
from airflow_deepseek_ocr.store.engine_options import engine_options
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from benchmarks.bench import Bench
from benchmarks.buckets import KINDS, Bucket, Share, fill
from benchmarks.engine_ways import ForcedServerSpec, running_server
from benchmarks.forced_lengths import ForcedLengths
from benchmarks.full_size import ROOT, build
from benchmarks.tables import markdown_table
from benchmarks.time_limit import TimeLimit
from benchmarks.workload import lengths

_NAME = "benchmark"
_WARM_UP_PAGES, _WARM_UP_TOKENS = 24, 40
#: Different pages held in memory for the engine alone.
_DIFFERENT = 8
_COLUMNS = (
    *("part", "gpus", "mode", "kind", "tasks", "exports"),
    *("pages", "pages_per_s", "stored_per_s", "of_engine"),
)


@dataclass(frozen=True)
class Job:
    """What a task needs.

    :param model: directory of the model.
    :param servers: directory of the servers' registry.
    :param devices: whose servers it uses.
    :param batch_size: most pages at once on each; None for what fits.
    """

    model: Path
    servers: Path
    devices: tuple[str, ...]
    batch_size: int | None

    def spec(self, device: str) -> ForcedServerSpec:
        """Return the server on a device."""
        return ForcedServerSpec(
            model_directory=self.model,
            model=_NAME,
            device=device,
            batch_size=self.batch_size,
            idle_s=round(START_TIMEOUT_S),
        )

    def engine(self) -> Engine:
        """Return the engine of a task: all servers."""
        engines = [
            NamedEngine(
                device,
                HttpEngine(
                    Supervisor(self.spec(device), self.servers, START_TIMEOUT_S).find,
                    model=_NAME,
                    decoding=Decoding(forced=True),
                    retry_policy=RetryPolicy(),
                ),
            )
            for device in self.devices
        ]
        return engines[0].engine if len(engines) == 1 else BalancedEngine(engines)


def main() -> int:
    """Measure all combinations; an exit code."""
    options = _arguments()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING)
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([path] if path else [])])
    rows: list[dict[str, Any]] = []
    limit = TimeLimit(options.time_limit)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="end-to-end-")))
        model = (options.model or scratch / "full-size").absolute()
        _in_a_process(_build, model)
        bench = Bench(model, options.pages, options.batch_size, options.out)
        settings = [split_devices(each) for each in options.devices]
        most = max(map(len, settings))
        buckets = fill(scratch, options.kinds, most, options.pages, stack)
        every = tuple(dict.fromkeys(device for devices in settings for device in devices))
        all_servers = Job(model, scratch / "servers", every, options.batch_size)
        stack.enter_context(_servers(all_servers))
        for devices, mode, kind in product(settings, options.modes, options.kinds):
            job = replace(all_servers, devices=devices)
            common = {"gpus": len(devices), "mode": mode, "kind": kind}
            for figures in _measure(job, mode, buckets[kind], scratch / kind, options, limit):
                rows.append(common | figures)
                bench.tell(**rows[-1])
    print(markdown_table(_COLUMNS, rows))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.end_to_end", description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="directory of a model; made with random weights if not there"
    )
    parser.add_argument("--pages", type=int, default=640, help="documents of one page for each GPU")
    parser.add_argument("--modes", nargs="+", default=["gundam", "base"])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument(
        "--tasks", nargs="+", type=int, default=[1, 2, 4], help="at once for each GPU"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the texts' usual lengths")
    parser.add_argument("--devices", nargs="+", default=["cuda:0"], help="such as cuda:0 all")
    parser.add_argument("--batch-size", type=int, help="most pages at once; default: what fits")
    parser.add_argument("--render-processes", type=int, help="the default of the package if absent")
    parser.add_argument(
        "--exports",
        nargs="+",
        default=[],
        help="each run is repeated with tasks that make these, such as markdown webp",
    )
    parser.add_argument("--out", type=Path, default=Path("bench-end-to-end.jsonl"))
    parser.add_argument(
        "--time-limit",
        type=float,
        help="seconds after which no measurement begins that would end later",
    )
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def _in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a process whose memory is free again afterwards."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _build(model: Path) -> None:
    import torch

    build(model, "cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def _servers(job: Job) -> Iterator[None]:
    """Start a server on each device, all at once, and stop them afterwards."""
    with ExitStack() as stack, ProcessPoolExecutor(len(job.devices)) as pool:
        job.servers.mkdir(mode=0o700)
        list(pool.map(_start, [job] * len(job.devices), job.devices))
        for device in job.devices:
            stack.enter_context(running_server(job.spec(device), job.servers))
        yield


def _start(job: Job, device: str) -> None:
    Supervisor(job.spec(device), job.servers, START_TIMEOUT_S).find()


def _measure(
    job: Job,
    mode: str,
    buckets: Sequence[Bucket],
    directory: Path,
    options: argparse.Namespace,
    limit: TimeLimit,
) -> Iterator[dict[str, Any]]:
    if not limit.allows_another():
        yield {"part": "left out: no time"}
        return
    gpus = len(job.devices)
    tokens = [max(1, round(each * options.share)) for each in lengths(options.pages * gpus)]
    with limit.measuring():
        alone = _at_once(_read, [(job, mode, directory, tokens, number) for number in range(gpus)])
    own = len(tokens) / _seconds(alone)
    yield {"part": "engine", "pages": len(tokens), "pages_per_s": own}
    for each, formats in product(options.tasks, [[], options.exports] if options.exports else [[]]):
        figures = {"tasks": each * gpus, "exports": " ".join(formats)}
        if not limit.allows_another():
            yield {"part": "left out: no time"} | figures
            continue
        with limit.measuring(), tempfile.TemporaryDirectory(dir=directory.parent) as name:
            shares = [
                Share(buckets[number % gpus], number // gpus, each, tokens[number :: each * gpus])
                for number in range(each * gpus)
            ]
            found = _end_to_end(job, mode, shares, options.render_processes, formats, Path(name))
        pages_per_s = found["pages"] / found["seconds"]
        speed = {"pages_per_s": pages_per_s, "of_engine": pages_per_s / own}
        yield {"part": "end to end"} | figures | speed | found


def _end_to_end(
    job: Job,
    mode: str,
    shares: Sequence[Share],
    render_processes: int | None,
    formats: Sequence[str],
    scratch: Path,
) -> dict[str, Any]:
    """Process all documents, each share in a task, into one database."""
    url = f"sqlite:///{scratch}/results.db"
    with closing(_store(url)) as store:
        store.ensure_schema()
    common = (job, mode, url, render_processes, _plan(formats, scratch))
    found = _at_once(_task, [(*common, share) for share in shares])
    pages, documents, stored = _stored(url)
    return {
        "pages": pages,
        "seconds": _seconds(found),
        # Exports go on after the last document is stored.
        "stored_per_s": pages / (stored - min(each["began"] for each in found)),
        "documents": documents,
        "cpu_s": sum(one["cpu_s"] for one in found),
        "task_cpu_ms_a_page": 1000 * sum(one["own_cpu_s"] for one in found) / max(1, pages),
    }


def _at_once(
    function: Callable[..., dict[str, float]], calls: Sequence[tuple[Any, ...]]
) -> list[dict[str, float]]:
    """Return what a function returns in a process for each call, all at once."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(calls), mp_context=context) as pool:
        return [each.result() for each in [pool.submit(function, *call) for call in calls]]


def _seconds(found: Sequence[dict[str, float]]) -> float:
    """Return the time from the first begin to the last end."""
    return max(each["ended"] for each in found) - min(each["began"] for each in found)


def _read(
    job: Job, mode: str, directory: Path, tokens: Sequence[int], number: int
) -> dict[str, float]:
    """Read the share of one GPU, rendered before, through its server alone."""
    images = _rendered(directory)
    engine = replace(job, devices=(job.devices[number],)).engine()
    share = tokens[number :: len(job.devices)]
    list(engine.read(_requests(images, mode, [_WARM_UP_TOKENS] * min(_WARM_UP_PAGES, len(share)))))
    began = time.time()
    for _ in engine.read(_requests(images, mode, share)):
        pass
    return {"began": began, "ended": time.time()}


def _rendered(directory: Path) -> list[PageImage]:
    """Return pages of the first documents as the pipeline renders them."""
    images = []
    with Renderer(Limits()) as renderer:
        for path in sorted(directory.iterdir())[:_DIFFERENT]:
            with renderer.open(
                path, selection=PageSelection.parse(""), dpi=OcrOptions.dpi
            ) as document:
                images.append(document.page(document.page_numbers[0]).pixels)
    return images


def _requests(
    images: Sequence[PageImage], mode: str, tokens: Sequence[int]
) -> Iterator[PageRequest]:
    for number, each in enumerate(tokens):
        yield PageRequest(
            key=number,
            image=images[number % len(images)],
            prompt="markdown",
            resolution=mode,
            max_output_length=each,
        )


def _store(url: str) -> Store:
    return Store(create_engine(url, **engine_options("sqlite")))


def _task(
    job: Job,
    mode: str,
    url: str,
    render_processes: int | None,
    exports: ExportPlan | None,
    share: Share,
) -> dict[str, float]:
    """Process a share of the documents, as a mapped task does it."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    client = boto3.client("s3", **share.bucket.address)
    limits = Limits()
    refs = share.documents()
    options: dict[str, Any] = {"render_processes": render_processes} if render_processes else {}
    settings = Settings.of({"model": _NAME})
    with closing(_store(url)) as store:
        pipeline = Pipeline(
            sources=Sources({"s3": lambda: S3Source(client, limits)}),
            get_engine=lambda: ForcedLengths(job.engine(), share.tokens),
            store=store,
            # A second attempt would not have the text that is asked for.
            config=settings.processing_config(OcrOptions(resolution=mode, retry_with="none")),
            options=PipelineOptions(limits=limits, **options),
            exports=exports,
        )
        began, cpu, own = time.time(), _cpu_seconds(), time.process_time()
        pipeline.run(refs)
        return {
            "began": began,
            "ended": time.time(),
            "cpu_s": _cpu_seconds() - cpu,
            "own_cpu_s": time.process_time() - own,
        }


def _plan(formats: Sequence[str], directory: Path) -> ExportPlan | None:
    """Return exports to a directory; None without formats."""
    if not formats:
        return None
    return ExportPlan(DirectoryTarget(directory / "exports"), parse_formats(formats))


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _stored(url: str) -> tuple[int, str, float]:
    """Return the number of stored pages, the documents by status, and the POSIX time of the last one."""
    engine = create_engine(url, **engine_options("sqlite"))
    try:
        with Session(engine) as session:
            pages = session.scalar(select(func.count()).select_from(PageRow)) or 0
            rows = session.execute(
                select(DocumentRow.status, func.count()).group_by(DocumentRow.status)
            ).all()
            last = session.scalar(select(func.max(DocumentRow.finished_at)))
            counts = json.dumps({row[0]: row[1] for row in rows})
            return pages, counts, last.timestamp() if last else math.inf
    finally:
        engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
