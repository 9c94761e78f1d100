"""Is everything there that reading needs? Each answer is a line that says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.engines.factory import choose
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.hardware.gpu import has_gpu
from airflow_deepseek_ocr.preflight.weights import describe_availability

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.gpu import gpus
from airflow_deepseek_ocr.preflight.memory import host_memory
from airflow_deepseek_ocr.preflight.server import (
    PATIENT,
    QUICK,
    describe_managed,
    describe_remote,
    vllm_command,
)
from airflow_deepseek_ocr.preflight.torch_probe import torch


def quick_checks(settings: Settings, s3_client: Callable[[], Any] | None = None) -> Iterator[Check]:
    """What can be said without torch, without starting or fetching anything, in seconds.

    :param settings: the connection's.
    :param s3_client: makes a boto3 S3 client for mirrors; the host's own credentials if None.
    """
    chosen = choose(settings)
    if chosen == "remote":
        yield _guarded("server", lambda: describe_remote(settings, QUICK, no_repeat_ngram=False))
        return
    yield _guarded("weights", lambda: describe_availability(settings, s3_client))
    if chosen in ("resident", "vllm"):
        yield _guarded("server", lambda: describe_managed(settings, chosen))


def all_checks(settings: Settings, s3_client: Callable[[], Any] | None = None) -> Iterator[Check]:
    """Everything, as a worker sees it; takes up to a minute and starts no server.

    :param settings: the connection's.
    :param s3_client: see :func:`quick_checks`.
    """
    chosen = choose(settings)
    yield Check("version", Level.OK, f"airflow-deepseek-ocr {__version__}, engine {chosen}.")
    if chosen == "remote":
        yield _guarded("server", lambda: describe_remote(settings, PATIENT, no_repeat_ngram=True))
        return
    yield from quick_checks(settings, s3_client)
    if chosen == "vllm":
        yield vllm_command(settings)
    else:
        yield from torch(settings)
    if settings.device != "cpu" and (has_gpu() or settings.device != "auto"):
        yield from gpus(settings)
    else:
        yield host_memory(settings)


def _guarded(name: str, describe: Callable[[], str]) -> Check:
    try:
        return Check(name, Level.OK, describe())
    except DeepSeekOCRError as error:
        return Check(name, Level.FAILURE, str(error))
