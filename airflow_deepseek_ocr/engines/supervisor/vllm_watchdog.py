"""Runs vLLM and ends it when nobody asks any more, which vLLM does not do by itself.

A process of its own between the keeper and vLLM; it needs nothing but this package's light
installation, and vLLM needs nothing of this package.
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

from airflow_deepseek_ocr.engines.supervisor.api_key import read_api_key
from airflow_deepseek_ocr.engines.supervisor.registry import BROKEN, record_exit
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    ErrorCode,
    UnavailableError,
)

log = logging.getLogger(__name__)

_POLL_S = 1.0
_DRAIN_S = 120.0
_TIMEOUT = httpx.Timeout(5.0)
#: Of vLLM's metrics: requests that are there, and those that have ended.
_THERE = ("vllm:num_requests_running", "vllm:num_requests_waiting")
_ENDED = ("vllm:request_success_total",)
_PR_SET_PDEATHSIG = 1


class _Told(Exception):  # noqa: N818
    """The process was told to leave."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command behind ``--`` until told to leave, or nobody asked for the idle time."""
    parser = argparse.ArgumentParser(prog="vllm_watch")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--api-key-file", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--idle-seconds", type=float, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    try:
        with record_exit(options.record):
            _watch(options)
    except DeepSeekOCRError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _watch(options: argparse.Namespace) -> None:
    secret = read_api_key(options.api_key_file)
    try:
        child = subprocess.Popen(  # noqa: S603
            options.command,
            # An argument would be visible to every user of the host.
            env=os.environ | {"VLLM_API_KEY": secret},
            preexec_fn=_end_with_parent,
        )
    except OSError as error:
        raise ConfigurationError(
            ErrorCode.SERVER_COMMAND,
            f"{options.command[0]!r} cannot be started: {error.strerror}. Set the connection's vLLM "
            "command to the path of the program vllm.",
        ) from error
    try:
        _until_idle(child, options.url, options.idle_seconds)
    except _Told:
        log.info("Told to leave")
    finally:
        _end(child)


def _until_idle(child: subprocess.Popen[bytes], url: str, idle_s: float) -> None:
    last_used, ended, ready = time.monotonic(), -1.0, False
    with httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False) as client:
        while time.monotonic() - last_used < idle_s:
            time.sleep(_POLL_S)
            if child.poll() is not None:
                # What a signal ended did not refuse to start.
                raise UnavailableError(
                    BROKEN if ready or child.returncode < 0 else ErrorCode.SERVER_FAILED,
                    f"vLLM ended with status {child.returncode}; see its log.",
                )
            try:
                metrics = client.get("/metrics").text
            except httpx.TransportError:
                last_used = time.monotonic()  # it loads, or is too busy to answer
                continue
            ready, now = True, _sum(metrics, _ENDED)
            if _sum(metrics, _THERE) or now != ended:
                last_used, ended = time.monotonic(), now
    log.info("Nobody asked for %g s; leaving", idle_s)


def _sum(metrics: str, names: tuple[str, ...]) -> float:
    """The sum of these metrics over all their labels."""
    return sum(
        float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(names)
    )


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(_DRAIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _leave(_: int, __: FrameType | None) -> None:
    raise _Told


def _end_with_parent() -> None:
    """In the child: end when the watching process is killed, or its GPU would be taken for good."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
