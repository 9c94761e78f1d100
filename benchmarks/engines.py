"""Pages a second in-process, through the resident server and through vLLM: the same pages, one run.

Each page has a text of 100 to 2,000 tokens, 800 on average, whatever the model writes. Servers are
started and found as a task does it, and answer on this host. Each way has the device for itself:
it runs in a process of its own, one after the other. Figures go to standard output, as JSON lines to
``--out``, and as a table at the end.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.engines.factory import START_TIMEOUT_S
from airflow_deepseek_ocr.engines.http.engine import HttpEngine
from airflow_deepseek_ocr.engines.http.retries import RetryPolicy
from airflow_deepseek_ocr.engines.in_process.device_timing import IDLE
from airflow_deepseek_ocr.engines.protocol.endpoint import LOOPBACK
from airflow_deepseek_ocr.engines.supervisor.process import stop_server
from airflow_deepseek_ocr.engines.supervisor.registry import load_record
from airflow_deepseek_ocr.engines.supervisor.resident_server import ResidentServerSpec
from airflow_deepseek_ocr.engines.supervisor.server_identity import ServerIdentity
from airflow_deepseek_ocr.engines.supervisor.server_log import log_tail
from airflow_deepseek_ocr.engines.supervisor.server_spec import LaunchCommand, ServerPaths
from airflow_deepseek_ocr.engines.supervisor.supervisor import Supervisor
from airflow_deepseek_ocr.engines.supervisor.vllm_server import VllmServerSpec
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import Engine
from benchmarks.bench import Bench
from benchmarks.full_size import ROOT, build
from benchmarks.workload import lengths, requests

#: What servers are asked for.
_NAME = "benchmark"
#: Pages that are read first, and tokens of each: what is compiled is compiled then.
_WARM_UP_PAGES, _WARM_UP_TOKENS = 24, 40
#: In the table, in this order.
_COLUMNS = ("way", "mode", "pages", "pages_per_s", "tokens_per_s", "idle", "ready_s")

Tell = Callable[..., None]


@dataclass(frozen=True)
class Job:
    """What every way does.

    :param model: directory of the model.
    :param pages: to be read in each mode.
    :param modes: resolution modes, one after the other.
    :param share: of the usual lengths that texts have.
    :param device: see :class:`ResidentServerSpec`, like ``dtype`` and ``batch_size``.
    :param command: the program vllm.
    :param options: further ones of ``vllm serve``.
    :param scanned: pages with grain, not as a program draws them.
    """

    model: Path
    pages: int
    modes: tuple[str, ...]
    share: float
    device: str
    dtype: str
    batch_size: int | None
    command: str
    options: str
    scanned: bool


@dataclass(frozen=True)
class ForcedServerSpec(ResidentServerSpec):
    """The resident server with texts as long as they are asked for."""

    def launch_command(self, paths: ServerPaths) -> LaunchCommand:
        """See :class:`ResidentServerSpec`."""
        command = super().launch_command(paths)
        return replace(command, arguments=[*command.arguments, "--ignore-end"])


@dataclass(frozen=True)
class PortServerSpec(ForcedServerSpec):
    """The same on a port of the loopback, as one that is started by hand: pages go within requests."""

    def launch_command(self, paths: ServerPaths) -> LaunchCommand:
        """See :class:`ResidentServerSpec`."""
        command = super().launch_command(paths)
        with socket.create_server((LOOPBACK, 0)) as free:
            port = free.getsockname()[1]
        arguments = list(command.arguments)
        at = arguments.index("--socket")
        arguments[at : at + 2] = ["--port", str(port)]
        return replace(command, arguments=arguments, url=f"http://{LOOPBACK}:{port}", socket=None)


@dataclass
class Figures:
    """Takes what a way has to tell, in its own process: at once, as the next mode may never end.

    :param bench: prints figures and notes them.
    """

    bench: Bench
    rows: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, part: str, **figures: Any) -> None:
        """Print figures, and keep them for the table."""
        self.bench.tell(part, **figures)
        if "pages_per_s" in figures:
            self.rows.append(figures)


def main() -> int:
    """Measure all ways; an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="directory of a model; made with random weights if not there"
    )
    parser.add_argument("--ways", default="in_process,resident,vllm", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--modes", default="gundam,base")
    parser.add_argument("--pages", type=int, default=400, help="read in each mode")
    parser.add_argument("--share", type=float, default=1.0, help="of the texts' usual lengths")
    parser.add_argument(
        "--scanned", action="store_true", help="pages with a scanner's grain, which compress badly"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--batch-size", type=int, help="most pages at once; default: what fits")
    parser.add_argument("--vllm-command", default="vllm")
    parser.add_argument("--vllm-options", default="")
    parser.add_argument("--out", type=Path, default=Path("bench-engines.jsonl"))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING)
    # Servers start in another directory.
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([path] if path else [])])
    failed, rows = 0, []
    with tempfile.TemporaryDirectory(prefix="bench-engines-") as scratch:
        job = Job(
            (options.model or Path(scratch) / "full-size").absolute(),
            options.pages,
            tuple(options.modes.split(",")),
            options.share,
            options.device,
            options.dtype,
            options.batch_size,
            options.vllm_command,
            options.vllm_options,
            options.scanned,
        )
        bench = Bench(job.model, options.pages, options.batch_size, options.out)
        bench.tell("setting", **_elsewhere(_prepare, job))
        for way in options.ways.split(","):
            try:
                rows += _elsewhere(_measure, way, job, options.out, options.verbose)
            except Exception:
                # The other ways' figures are worth having.
                traceback.print_exc()
                failed += 1
    print(_table(rows))
    return 1 if failed else 0


def _elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process of its own, whose memory is free again afterwards."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _prepare(job: Job) -> dict[str, Any]:
    """Make the model if there is none; what the figures are from."""
    import torch
    import transformers

    on_gpu = torch.cuda.is_available() and job.device != "cpu"
    build(job.model, "cuda" if on_gpu else "cpu")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "weights": sum(each.stat().st_size for each in job.model.glob("*.safetensors")),
        "pages": job.pages,
        "share": job.share,
        "scanned": job.scanned,
    }


def _measure(way: str, job: Job, out: Path, verbose: bool) -> list[dict[str, Any]]:
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    figures = Figures(Bench(job.model, job.pages, job.batch_size, out))
    WAYS[way](job, figures.tell)
    return figures.rows


def in_process(job: Job, tell: Tell) -> None:
    """The engine in this process."""
    from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine

    started = time.perf_counter()
    engine = InProcessEngine(
        job.model,
        device=job.device,
        dtype=job.dtype,
        batch_size=job.batch_size,
        decoding=Decoding(forced=True),
    )
    ready = time.perf_counter() - started
    _read_all(engine, "in_process", job, tell, engine.clock.seconds, ready_s=ready)
    engine.close()


def resident(job: Job, tell: Tell) -> None:
    """The resident server, through its Unix socket and files beside it."""
    _resident(ForcedServerSpec, "resident", job, tell)


def port(job: Job, tell: Tell) -> None:
    """The resident server, through a port of the loopback."""
    _resident(PortServerSpec, "port", job, tell)


def _resident(kind: type[ForcedServerSpec], way: str, job: Job, tell: Tell) -> None:
    spec = kind(
        model_directory=job.model,
        model=_NAME,
        device=job.device,
        dtype=job.dtype,
        batch_size=job.batch_size,
        idle_s=round(START_TIMEOUT_S),
    )
    with running_server(spec) as (supervisor, ready):
        engine = HttpEngine(
            supervisor.find, model=_NAME, decoding=Decoding(forced=True), retry_policy=RetryPolicy()
        )
        _read_all(engine, way, job, tell, lambda: _device_seconds(supervisor), ready_s=ready)


def vllm(job: Job, tell: Tell) -> None:
    """vLLM, through its Unix socket; without our plugin in gundam mode alone."""
    if shutil.which(job.command.split()[0]) is None:
        tell("engines", way="vllm", skipped=f"There is no program {job.command!r}.")
        return
    spec = VllmServerSpec(
        model_directory=job.model,
        model=_NAME,
        device=job.device,
        dtype=job.dtype,
        batch_size=job.batch_size,
        idle_s=round(START_TIMEOUT_S),
        command=job.command,
        options=job.options,
    )
    with running_server(spec) as (supervisor, ready):
        engine = HttpEngine(
            supervisor.find,
            model=_NAME,
            decoding=Decoding(forced=True),
            # It has its own bound on what it works on at once, and does not tell it.
            pages=job.batch_size or 512,
            retry_policy=RetryPolicy(),
        )
        _read_all(engine, "vllm", job, tell, None, ready_s=ready)


@contextmanager
def running_server(
    spec: ServerIdentity, directory: Path | None = None
) -> Iterator[tuple[Supervisor, float]]:
    """Yield a server and the seconds until it was ready; stop it afterwards.

    :param spec: the server.
    :param directory: directory of the registry, in which the server may run already; a new one if None.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = directory or Path(name)
        supervisor = Supervisor(spec, directory, START_TIMEOUT_S)  # type: ignore[arg-type]
        started = time.perf_counter()
        try:
            supervisor.find()
            yield supervisor, time.perf_counter() - started
        except Exception:
            print(log_tail(directory / f"{spec.key}.log"), file=sys.stderr)
            raise
        finally:
            record = load_record(directory, spec.key)
            if record is not None:
                stop_server(record, directory)


def _read_all(
    engine: Engine,
    way: str,
    job: Job,
    tell: Tell,
    clock: Callable[[], dict[str, float]] | None,
    *,
    ready_s: float,
) -> None:
    """Read the pages in each mode, after a few that are not counted.

    :param clock: seconds of the device so far by phase, if it can be told.
    :param ready_s: seconds until the model was loaded.
    """
    for mode in job.modes:
        if mode not in engine.modes():
            tell("engines", way=way, mode=mode, skipped=f"It reads in {', '.join(engine.modes())}.")
            continue
        warm_up = min(_WARM_UP_PAGES, job.pages)
        started = time.perf_counter()
        list(engine.read(requests(warm_up, mode, [_WARM_UP_TOKENS] * warm_up)))
        warm_up_s = time.perf_counter() - started
        texts = [max(1, round(length * job.share)) for length in lengths(job.pages)]
        pages = list(requests(job.pages, mode, texts, scanned=job.scanned))
        # What the device waits for is known when it has something to do again.
        list(engine.read(requests(1, mode, [1])))
        before = clock() if clock else {}
        started, first_s, outputs = time.perf_counter(), 0.0, []
        for output in engine.read(pages):
            if output.error:
                raise output.error
            first_s = first_s or time.perf_counter() - started
            outputs.append(output)
        seconds = time.perf_counter() - started
        after = clock() if clock else {}
        spent = {phase: total - before.get(phase, 0.0) for phase, total in after.items()}
        tokens = sum(output.text_tokens for output in outputs)
        tell(
            "engines",
            way=way,
            mode=mode,
            pages=len(outputs),
            pages_per_s=len(outputs) / seconds,
            tokens_per_s=tokens / seconds,
            tokens_per_page=tokens / len(outputs),
            # A way that wrote other lengths did other work.
            lengths_as_asked=sum(
                output.text_tokens == texts[output.key]  # type: ignore[call-overload]
                for output in outputs
            ),
            vision_tokens_per_page=sum(each.vision_tokens for each in outputs) / len(outputs),
            seconds=seconds,
            first_page_s=first_s,
            idle=spent[IDLE] / sum(spent.values()) if spent.get(IDLE) else None,
            warm_up_s=warm_up_s,
            ready_s=ready_s,
        )


def _device_seconds(supervisor: Supervisor) -> dict[str, float]:
    """Seconds by phase, of a resident server's metrics."""
    from prometheus_client.parser import text_string_to_metric_families

    with supervisor.find().client(RetryPolicy().timeout) as client:
        text = client.get("/metrics").text
    return {
        sample.labels["phase"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "deepseek_ocr_device_seconds_total"
    }


def _table(rows: list[dict[str, Any]]) -> str:
    """The figures in Markdown."""
    shown = [[_shown(row.get(name)) for name in _COLUMNS] for row in rows]
    lines = [_COLUMNS, ["---"] * len(_COLUMNS), *shown]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


WAYS: dict[str, Callable[[Job, Tell], None]] = {
    "in_process": in_process,
    "resident": resident,
    "port": port,
    "vllm": vllm,
}

if __name__ == "__main__":
    sys.exit(main())
