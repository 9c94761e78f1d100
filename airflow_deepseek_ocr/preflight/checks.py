"""Preflight: checks that this host has all that a connection needs, each with the advice that mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.engines.factory import choose_engine
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.gpu import check_gpu, check_vllm_gpu
from airflow_deepseek_ocr.preflight.host import THIS_HOST, Host
from airflow_deepseek_ocr.preflight.memory import check_host_memory
from airflow_deepseek_ocr.preflight.sandbox import check_sandbox
from airflow_deepseek_ocr.preflight.server import (
    PATIENT,
    check_vllm_command,
    describe_host_server,
    describe_remote_server,
)
from airflow_deepseek_ocr.preflight.torch_checks import check_torch
from airflow_deepseek_ocr.preflight.weights import check_weights

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings


def all_checks(
    settings: Settings,
    s3_client: Callable[[], Any] | None = None,
    host: Host = THIS_HOST,
) -> Iterator[Check]:
    """Run all checks, on a worker: within a minute; no server is started.

    :param settings: settings of the connection.
    :param s3_client: return a boto3 S3 client for a mirror of the weights; None for the host's credentials.
    :param host: host to ask.
    """
    engine = choose_engine(settings, gpu_present=host.has_gpu)
    yield Check("version", Level.OK, f"airflow-deepseek-ocr {__version__}, engine {engine}.")
    yield check_sandbox(settings)
    yield from check_prompt(settings)
    if engine == "remote":
        for each in settings.each_server():
            yield _check(
                "server",
                partial(describe_remote_server, each, PATIENT, probe_no_repeat_ngram=True),
            )
        return
    yield check_weights(settings, s3_client)
    if engine in ("resident", "vllm"):
        yield _check("server", lambda: describe_host_server(settings, engine))
    if engine == "vllm":
        yield check_vllm_command(settings)
        yield from check_vllm_gpu(settings, host)
    else:
        yield from check_torch(settings, host)
    if settings.device != "cpu" and (host.has_gpu() or settings.device != "auto"):
        yield from check_gpu(settings, host)
    else:
        yield check_host_memory(settings, host)


def check_prompt(settings: Settings) -> Iterator[Check]:
    """Warn of a default prompt that the model's publisher does not document.

    :param settings: settings of the connection.
    """
    family = settings.family
    if settings.prompt not in family.documented_prompts:
        documented = ", ".join(sorted(family.documented_prompts))
        yield Check(
            "prompt",
            Level.WARNING,
            f"The publisher of {family.title} documents the prompts {documented}, not {settings.prompt}. "
            "Compare the outputs of some pages before you rely on it.",
        )


def _check(name: str, describe: Callable[[], str]) -> Check:
    """Return an OK check with the description, or a failure with the error's message."""
    try:
        return Check(name, Level.OK, describe())
    except DeepSeekOCRError as error:
        return Check(name, Level.FAILURE, str(error))
