"""vLLM without a server: all pages in one call of its offline batch, in vLLM's own environment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_deepseek_ocr.engines.factory import START_TIMEOUT_S
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    PUBLISHED_TABLE_CELLS,
    chat_request,
)
from airflow_deepseek_ocr.engines.protocol.token_logprobs import MOST_TOP_LOGPROBS
from airflow_deepseek_ocr.engines.supervisor.server_log import log_tail
from airflow_deepseek_ocr.engines.supervisor.server_spec import ServerPaths
from airflow_deepseek_ocr.engines.supervisor.vllm_options import split_command
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from benchmarks.engine_ways import WARM_UP_PAGES, WARM_UP_TOKENS, Job, Tell
from benchmarks.kept_logs import error_lines, log_file
from benchmarks.workload import requests

WAY = "vllm_offline"
_PROGRAM = Path(__file__).with_name("vllm_batch.py")
#: Seconds for the pages of one mode; far above those of any GPU, so that a run ends.
_MODE_TIMEOUT_S = 3600.0


def vllm_offline(job: Job, tell: Tell) -> None:
    """vLLM's offline batch, with the options of its server; without our plugin in gundam mode alone."""
    python = interpreter(job.command)
    if python is None:
        reason = f"There is no interpreter beside the program {job.command!r}."
        tell("engines", way=WAY, skipped=reason)
        return
    with tempfile.TemporaryDirectory(prefix="bench-offline-") as name:
        directory = Path(name)
        file, environment = directory / "job.json", write_job(job, directory)
        started, ready_s = time.perf_counter(), 0.0
        limit_s = START_TIMEOUT_S + _MODE_TIMEOUT_S * len(job.modes)
        arguments, log = [str(python), "-P", str(_PROGRAM), str(file)], log_file(job.out, WAY)
        with _lines(arguments, environment, limit_s, log) as lines:
            for line in lines:
                if "vllm" in line:
                    ready_s = time.perf_counter() - started
                elif "skipped" in line:
                    tell("engines", way=WAY, **line)
                else:
                    tell("engines", way=WAY, **figures(line, job.texts()), ready_s=ready_s)


def interpreter(command: str) -> Path | None:
    """Return the interpreter of the environment in which a program is installed.

    :param command: the program vllm, perhaps with arguments.
    """
    program = shutil.which(split_command(command)[0])
    python = Path(program).parent / "python" if program else None
    return python if python and python.exists() else None


def write_job(job: Job, directory: Path) -> dict[str, str]:
    """Write what :mod:`benchmarks.vllm_batch` reads, as ``job.json``; return its environment.

    :param directory: receives the pages' images too.
    """
    texts = job.texts()
    paths = []
    for request in requests(min(16, job.pages), job.modes[0], texts, scanned=job.scanned):
        paths.append(directory / f"page-{request.key}.png")
        request.image.save(paths[-1])  # type: ignore[union-attr]
    unused = directory / "unused"
    server = job.vllm_server().launch_command(
        ServerPaths(socket=unused, api_key_file=unused, record_file=unused, log_file=unused)
    )
    options = list(server.arguments)[list(server.arguments).index("serve") + 2 :]
    warm_up = [WARM_UP_TOKENS] * min(WARM_UP_PAGES, job.pages)
    content = {
        "arguments": ["--model", str(job.model), *options],
        "images": [str(path) for path in paths],
        "line": prompt_line("markdown"),
        "modes": job.modes,
        "warm_up": [_sampling(job, tokens) for tokens in warm_up],
        "pages": [_sampling(job, tokens) for tokens in texts],
    }
    (directory / "job.json").write_text(json.dumps(content))
    # The checkout's modules are not vLLM's: its environment has the plugin, if any.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {name: value for name, value in server.environment.items() if value is not None}


def _sampling(job: Job, tokens: int) -> dict[str, Any]:
    """Return a page's sampling parameters: what a task asks of vLLM's server."""
    body = chat_request(
        model="",
        image_url="",
        line="",
        resolution=None,
        max_tokens=tokens,
        no_repeat_ngram=(job.decoding.ngram_size, job.decoding.ngram_window),
        table_cells=PUBLISHED_TABLE_CELLS,
        ignore_eos=True,
    )
    same = ("temperature", "max_tokens", "skip_special_tokens", "ignore_eos")
    sampling = {name: body[name] for name in same} | {"extra_args": body["vllm_xargs"]}
    return sampling | ({"logprobs": MOST_TOP_LOGPROBS} if job.probabilities else {})


def figures(line: dict[str, Any], expected: list[int]) -> dict[str, Any]:
    """Return the figures of one mode, named as those of the other ways.

    :param line: of :mod:`benchmarks.vllm_batch`.
    :param expected: tokens that each page should have.
    """
    texts, pages, seconds = line["texts"], len(line["texts"]), line["seconds"]
    return {
        "mode": line["mode"],
        "pages": pages,
        "pages_per_s": pages / seconds,
        "tokens_per_s": sum(texts) / seconds,
        "tokens_per_page": sum(texts) / pages,
        "lengths_as_asked": sum(map(int.__eq__, texts, expected)),
        "vision_tokens_per_page": sum(line["vision_tokens"]) / pages,
        "pages_with_probabilities": line["probabilities"],
        "seconds": seconds,
        "warm_up_s": line["warm_up_s"],
    }


@contextmanager
def _lines(
    arguments: list[str], environment: dict[str, str], limit_s: float, log: Path
) -> Iterator[Iterator[dict[str, Any]]]:
    """Yield a program's lines of JSON up to its last one; it is ended afterwards, with its children.

    :param limit_s: seconds after which it is ended.
    :param log: keeps the whole log of this run.
    :raises RuntimeError: it ended without its last line. The message has the errors of its log.
    """
    with log.open("wb") as errors:
        process = subprocess.Popen(
            arguments,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    timer = threading.Timer(limit_s, _end, [process])
    timer.start()

    def lines() -> Iterator[dict[str, Any]]:
        for text in process.stdout or ():
            line = json.loads(text)
            if "end" in line:
                return
            yield line
        raise RuntimeError(
            f"vLLM's offline batch ended early, or was ended after {limit_s:.0f} s. "
            f"Its log {log} says:\n{error_lines(log) or log_tail(log)}"
        )

    try:
        yield lines()
    finally:
        timer.cancel()
        _end(process)
        process.wait()
        if process.stdout:
            process.stdout.close()


def _end(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
