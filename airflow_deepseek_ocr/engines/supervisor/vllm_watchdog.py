"""Watchdog of a vLLM server: stops it when it is idle, which vLLM does not do.

A process between the supervisor and vLLM. It needs this package's light installation only, and vLLM's
environment does not need this package.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import httpx

from airflow_deepseek_ocr.engines.protocol.api_key import read_api_key
from airflow_deepseek_ocr.engines.protocol.bounded_request import bounded_request
from airflow_deepseek_ocr.engines.protocol.endpoint import SOCKET_URL, Endpoint
from airflow_deepseek_ocr.engines.supervisor.log_reason import find_reason
from airflow_deepseek_ocr.engines.supervisor.registry import record_exit
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
)

log = logging.getLogger(__name__)

_POLL_S = 1.0
#: Seconds vLLM has to finish the pages in flight, as the resident server has
#: (``airflow_deepseek_ocr.model_server.main.DRAIN_S``).
_DRAIN_S = 120.0
_TIMEOUT = httpx.Timeout(5.0)
#: Largest answer of ``/metrics``, in bytes: vLLM's has some 100 KB.
_MAX_METRICS_BYTES = 8 << 20
#: vLLM's gauges of requests in progress, and its counter of finished requests (vLLM docs, "Metrics").
_IN_PROGRESS = ("vllm:num_requests_running", "vllm:num_requests_waiting")
_FINISHED = ("vllm:request_success_total",)
#: ``PR_SET_PDEATHSIG`` of ``linux/prctl.h``.
_PR_SET_PDEATHSIG = 1


class _StopRequested(Exception):  # noqa: N818 -- not an error
    """A signal asked this process to stop."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command behind ``--`` until a signal asks to stop, or the server is idle.

    :param arguments: command line; that of the process if None.
    :return: exit code of the process.
    """
    parser = argparse.ArgumentParser(prog="vllm_watchdog")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--api-key-file", type=Path, required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--log-file", type=Path)
    parser.add_argument("--idle-seconds", type=float, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _request_stop)
    signal.signal(signal.SIGINT, _request_stop)
    try:
        with record_exit(options.record):
            _run(options)
    except DeepSeekOCRError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    api_key = read_api_key(options.api_key_file)
    try:
        vllm = subprocess.Popen(  # noqa: S603
            options.command,
            # Not an argument: every user of the host sees those.
            env=os.environ | {"VLLM_API_KEY": api_key},
            preexec_fn=_stop_with_parent,
        )
    except OSError as error:
        raise ConfigurationError(
            ErrorCode.SERVER_COMMAND,
            f"{options.command[0]!r} cannot be started: {error.strerror}. Set the connection's vLLM "
            "command to the path of the program vllm.",
        ) from error
    try:
        _wait_until_idle(vllm, options)
    except _StopRequested:
        log.info("A signal asked to stop.")
    finally:
        _stop(vllm)


def _wait_until_idle(vllm: subprocess.Popen[bytes], options: argparse.Namespace) -> None:
    last_used, finished, ready = time.monotonic(), -1.0, False
    # The metrics need no API key.
    with Endpoint(SOCKET_URL, socket_path=options.socket).client(_TIMEOUT) as client:
        while time.monotonic() - last_used < options.idle_seconds:
            time.sleep(_POLL_S)
            if vllm.poll() is not None:
                raise _exit_error(vllm.returncode, options.log_file, ready=ready)
            try:
                answer = bounded_request(client, "GET", "/metrics", max_bytes=_MAX_METRICS_BYTES)
                metrics = answer.content.decode(errors="replace")
            except httpx.TransportError:
                last_used = time.monotonic()  # it loads the model, or is too busy to answer
                continue
            ready, now_finished = True, sum_metrics(metrics, _FINISHED)
            if sum_metrics(metrics, _IN_PROGRESS) or now_finished != finished:
                last_used, finished = time.monotonic(), now_finished
    log.info("No request for %g s; stopping vLLM.", options.idle_seconds)


def _exit_error(status: int, log_file: Path | None, *, ready: bool) -> UnavailableError:
    """Return the error for a vLLM that ended; a negative status is the signal that killed it."""
    # A vLLM that a signal killed while it loaded did not reject its options: another start is worthwhile.
    crashed = ready or status < 0
    reason = (find_reason(log_file) if log_file else "") or "its log does not say why"
    return UnavailableError(
        ErrorCode.SERVER_BROKEN if crashed else ErrorCode.SERVER_FAILED,
        f"vLLM ended with status {status}: {reason}. Its log is {log_file}.",
    )


def sum_metrics(text: str, names: tuple[str, ...]) -> float:
    """Return the sum of metrics over all their labels.

    :param text: answer of ``/metrics`` in Prometheus' text format.
    :param names: names of the metrics.
    """
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(names)
    )


def _stop(vllm: subprocess.Popen[bytes]) -> None:
    vllm.send_signal(signal.SIGTERM)
    try:
        vllm.wait(_DRAIN_S)
    except subprocess.TimeoutExpired:
        vllm.kill()
        vllm.wait()


def _request_stop(_: int, __: FrameType | None) -> None:
    raise _StopRequested


def _stop_with_parent() -> None:
    """Make the kernel stop vLLM when the watchdog is killed, or it would occupy the GPU for ever."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
