"""Ways of reading pages that :mod:`benchmarks.engines` compares: engine, resident server, vLLM's server."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

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
from benchmarks.kept_logs import error_lines, log_file
from benchmarks.workload import lengths, requests

#: What servers are asked for.
_NAME = "benchmark"
#: Pages that are read first, and tokens of each: what is compiled is compiled then.
WARM_UP_PAGES, WARM_UP_TOKENS = 24, 40

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
    :param vllm_batch_size: most pages at once in vLLM.
    :param options: further ones of ``vllm serve``.
    :param scanned: pages with grain, not as a program draws them.
    :param probabilities: every way returns the probabilities of tokens.
    :param out: file of the figures; logs are kept beside it.
    """

    model: Path
    pages: int
    modes: tuple[str, ...]
    share: float
    device: str
    dtype: str
    batch_size: int | None
    command: str
    vllm_batch_size: int
    options: str
    scanned: bool
    probabilities: bool
    out: Path

    @property
    def decoding(self) -> Decoding:
        """Texts as long as they are asked for."""
        return Decoding(forced=True, token_probabilities=self.probabilities)

    def texts(self) -> list[int]:
        """Return the tokens of each page."""
        return [max(1, round(length * self.share)) for length in lengths(self.pages)]

    def vllm_server(self) -> VllmServerSpec:
        """Return vLLM's server, with its options."""
        return VllmServerSpec(
            model_directory=self.model,
            model=_NAME,
            device=self.device,
            dtype=self.dtype,
            batch_size=self.vllm_batch_size,
            idle_s=round(START_TIMEOUT_S),
            command=self.command,
            options=self.options,
        )


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


def in_process(job: Job, tell: Tell) -> None:
    """The engine in this process."""
    from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine

    started = time.perf_counter()
    engine = InProcessEngine(
        job.model,
        device=job.device,
        dtype=job.dtype,
        batch_size=job.batch_size,
        decoding=job.decoding,
    )
    ready = time.perf_counter() - started
    read_all(engine, "in_process", job, tell, engine.clock.seconds, ready_s=ready)
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
    with running_server(spec, log=log_file(job.out, way)) as (supervisor, ready):
        engine = HttpEngine(
            supervisor.find, model=_NAME, decoding=job.decoding, retry_policy=RetryPolicy()
        )
        read_all(engine, way, job, tell, lambda: _device_seconds(supervisor), ready_s=ready)


def vllm(job: Job, tell: Tell) -> None:
    """vLLM, through its Unix socket; without our plugin in gundam mode alone."""
    if shutil.which(job.command.split()[0]) is None:
        tell("engines", way="vllm", skipped=f"There is no program {job.command!r}.")
        return
    log = log_file(job.out, "vllm")
    with running_server(job.vllm_server(), log=log) as (supervisor, ready):
        engine = HttpEngine(
            supervisor.find,
            model=_NAME,
            decoding=job.decoding,
            # It does not tell it.
            pages=job.vllm_batch_size,
            retry_policy=RetryPolicy(),
        )
        read_all(engine, "vllm", job, tell, None, ready_s=ready)


@contextmanager
def running_server(
    spec: ServerIdentity, directory: Path | None = None, log: Path | None = None
) -> Iterator[tuple[Supervisor, float]]:
    """Yield a server and the seconds until it was ready; stop it afterwards.

    :param spec: the server.
    :param directory: directory of the registry, in which the server may run already; a new one if None.
    :param log: keeps the server's whole log, if any.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = directory or Path(name)
        supervisor = Supervisor(spec, directory, START_TIMEOUT_S)  # type: ignore[arg-type]
        written = directory / f"{spec.key}.log"
        started = time.perf_counter()
        try:
            supervisor.find()
            yield supervisor, time.perf_counter() - started
        except Exception:
            print(error_lines(written) or log_tail(written), file=sys.stderr)
            raise
        finally:
            record = load_record(directory, spec.key)
            if record is not None:
                stop_server(record, directory)
            if log is not None and written.exists():
                shutil.copyfile(written, log)


def read_all(
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
        warm_up = min(WARM_UP_PAGES, job.pages)
        started = time.perf_counter()
        list(engine.read(requests(warm_up, mode, [WARM_UP_TOKENS] * warm_up)))
        warm_up_s = time.perf_counter() - started
        texts = job.texts()
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
