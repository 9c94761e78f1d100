"""Documents in S3 to rows on GPUs, beside the engine's pages per second on the same pages in the same run.

Each page has a text of 100 to 2,000 tokens, 800 on average, whatever the model writes; the rows get a
recorded text of about that length. The tasks are processes with the operator's pipeline, which share the
resident servers and one database.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from sqlalchemy import create_engine, text

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
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
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
from airflow_deepseek_ocr.sources.s3 import Listing, S3Source
from airflow_deepseek_ocr.store.engine_options import engine_options
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.targets.directory import DirectoryTarget
from benchmarks.bench import Bench
from benchmarks.engines import ForcedServerSpec, running_server
from benchmarks.forced_lengths import ForcedLengths
from benchmarks.full_size import ROOT, build
from benchmarks.pipeline.documents import colour_scans, short_pdfs
from benchmarks.workload import lengths
from tests.support.servers.moto_s3 import moto_s3

_NAME = "benchmark"
_KINDS: dict[str, Callable[[Path, int], list[Path]]] = {"scans": colour_scans, "drawn": short_pdfs}
_WARM_UP_PAGES, _WARM_UP_TOKENS = 24, 40
#: Different pages held in memory for the engine alone.
_DIFFERENT = 8
_COLUMNS = ("part", "gpus", "mode", "kind", "tasks", "pages", "pages_per_s", "of_engine")


@dataclass(frozen=True)
class Job:
    """What a task needs.

    :param model: directory of the model.
    :param servers: directory of the servers' registry.
    :param devices: a server runs on each.
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
        buckets = _buckets(scratch, options.kinds, options.pages, stack)
        for setting in options.devices:
            devices = split_devices(setting)
            job = Job(model, scratch / f"servers-{len(devices)}", devices, options.batch_size)
            with _servers(job):
                for mode in options.modes:
                    for kind in options.kinds:
                        common = {"gpus": len(devices), "mode": mode, "kind": kind}
                        for figures in _measure(
                            job, mode, kind, buckets[kind], options, scratch, limit
                        ):
                            rows.append(common | figures)
                            bench.tell(**rows[-1])
    print(_table(rows))
    return 0


class TimeLimit:
    """Leaves out measurements that would end too late, so that those before are not lost.

    :param seconds: from now; None for no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._longest = 0.0

    def allows_another(self) -> bool:
        """Return whether a measurement as long as the longest so far ends in time."""
        return self._end is None or time.monotonic() + self._longest < self._end

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure how long the block takes."""
        started = time.monotonic()
        yield
        self._longest = max(self._longest, time.monotonic() - started)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.end_to_end", description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="directory of a model; made with random weights if not there"
    )
    parser.add_argument("--pages", type=int, default=640, help="documents of one page in each run")
    parser.add_argument("--modes", nargs="+", default=["gundam", "base"])
    parser.add_argument("--kinds", nargs="+", choices=list(_KINDS), default=list(_KINDS))
    parser.add_argument("--tasks", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--share", type=float, default=1.0, help="of the texts' usual lengths")
    parser.add_argument("--devices", nargs="+", default=["cuda:0"], help="such as cuda:0 all")
    parser.add_argument("--batch-size", type=int, help="most pages at once; default: what fits")
    parser.add_argument("--render-processes", type=int, help="the default of the package if absent")
    parser.add_argument(
        "--exports",
        nargs="+",
        default=[],
        help="formats of exports that each task makes, such as markdown webp; none if absent",
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


def _buckets(
    scratch: Path, kinds: Sequence[str], pages: int, stack: ExitStack
) -> dict[str, dict[str, str]]:
    """Put the documents of each kind into a bucket, and return its address."""
    server = stack.enter_context(moto_s3())
    address = {
        "endpoint_url": server.endpoint_url,
        "aws_access_key_id": server.access_key,
        "aws_secret_access_key": server.secret_key,
        "region_name": server.region,
    }
    client = boto3.client("s3", **address)
    for kind in kinds:
        client.create_bucket(Bucket=kind)
        for path in _KINDS[kind](scratch / kind, pages):
            client.upload_file(str(path), kind, path.name)
    return {kind: address | {"bucket": kind} for kind in kinds}


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
    kind: str,
    bucket: dict[str, str],
    options: argparse.Namespace,
    scratch: Path,
    limit: TimeLimit,
) -> Iterator[dict[str, Any]]:
    if not limit.allows_another():
        yield {"part": "left out: no time"}
        return
    images = _rendered(scratch / kind)
    engine = job.engine()
    warm_up = min(_WARM_UP_PAGES, options.pages) * len(job.devices)
    list(engine.read(_requests(images, mode, [_WARM_UP_TOKENS] * warm_up)))
    tokens = [max(1, round(each * options.share)) for each in lengths(options.pages)]
    started = time.perf_counter()
    with limit.measuring():
        count = sum(1 for _ in engine.read(_requests(images, mode, tokens)))
    own = count / (time.perf_counter() - started)
    yield {"part": "engine", "pages": count, "pages_per_s": own}
    for tasks in options.tasks:
        if not limit.allows_another():
            yield {"part": "left out: no time", "tasks": tasks}
            continue
        with limit.measuring(), tempfile.TemporaryDirectory(dir=scratch) as name:
            url = f"sqlite:///{name}/results.db"
            with closing(_store(url)) as store:
                store.ensure_schema()
            started = time.perf_counter()
            with ProcessPoolExecutor(tasks, multiprocessing.get_context("spawn")) as pool:
                common = (
                    *(job, mode, bucket, url, options.render_processes, tokens),
                    _plan(options.exports, Path(name)),
                )
                found = list(pool.map(_task, [common] * tasks, range(tasks), [tasks] * tasks))
            seconds = max(each["ended"] for each in found) - min(each["began"] for each in found)
            pages, documents = _stored(url)
        yield {
            "part": "end to end",
            "tasks": tasks,
            "pages": pages,
            "pages_per_s": pages / seconds,
            "of_engine": pages / seconds / own,
            "documents": documents,
            "cpu_s": sum(each["cpu_s"] for each in found),
            "task_cpu_ms_a_page": 1000 * sum(each["own_cpu_s"] for each in found) / max(1, pages),
            "wall_s": time.perf_counter() - started,
        }


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


def _task(common: tuple[Any, ...], number: int, tasks: int) -> dict[str, float]:
    """Process a share of the bucket's documents, as a mapped task does it."""
    job, mode, bucket, url, render_processes, lengths_of_all, exports = common
    logging.getLogger("httpx").setLevel(logging.WARNING)
    address = {key: value for key, value in bucket.items() if key != "bucket"}
    client = boto3.client("s3", **address)
    limits = Limits()
    found = list(Listing(bucket["bucket"]).documents(client))
    refs: list[DocumentRef] = found[number::tasks]
    tokens = lengths_of_all[number::tasks]
    options: dict[str, Any] = {"render_processes": render_processes} if render_processes else {}
    settings = Settings.of({"model": _NAME})
    with closing(_store(url)) as store:
        pipeline = Pipeline(
            sources=Sources({"s3": lambda: S3Source(client, limits)}),
            get_engine=lambda: ForcedLengths(job.engine(), tokens),
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


def _plan(formats: list[str], directory: Path) -> ExportPlan | None:
    """Return exports to a directory; None without formats."""
    if not formats:
        return None
    return ExportPlan(DirectoryTarget(directory / "exports"), parse_formats(formats))


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _stored(url: str) -> tuple[int, str]:
    """Return the number of stored pages, and the documents by status."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            pages = connection.execute(text("SELECT count(*) FROM ocr_pages")).scalar_one()
            rows = connection.execute(
                text("SELECT status, count(*) FROM ocr_documents GROUP BY status")
            )
            return pages, json.dumps({row[0]: row[1] for row in rows})
    finally:
        engine.dispose()


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        " | ".join(_COLUMNS),
        " | ".join(["---"] * len(_COLUMNS)),
        *(" | ".join(_shown(row.get(name)) for name in _COLUMNS) for row in rows),
    ]
    return "\n".join(f"| {line} |" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
