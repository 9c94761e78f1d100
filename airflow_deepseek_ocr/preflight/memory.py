"""Check whether the model fits the free memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_deepseek_ocr.model.weights.files import check_model_directory
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.host import THIS_HOST, Host
from airflow_deepseek_ocr.preflight.weights import find_model_directory

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings

#: Bytes of a page beside the weights, at the published size: its views in the vision tower, and its part
#: of the key-value cache.
_PAGE_BYTES = 2_500_000_000
#: Bytes of a weight in published checkpoints, and in float32.
_STORED_BYTES, _FLOAT32_BYTES = 2, 4


def check_host_memory(settings: Settings, host: Host = THIS_HOST) -> Check:
    """Check the memory of the host, for a model on the CPU.

    :param settings: settings of the connection.
    :param host: host to ask.
    """
    free = host.available_bytes()
    return check_memory(settings, free, "memory", float32=settings.dtype in ("auto", "float32"))


def check_memory(settings: Settings, free: int, kind: str, *, float32: bool) -> Check:
    """Compare the free memory with the model's need; only report it if this host lacks the weights.

    :param settings: settings of the connection.
    :param free: free bytes.
    :param kind: which memory, such as ``GPU memory``, for the message.
    :param float32: whether the weights are loaded as float32.
    """
    directory = find_model_directory(settings)
    if directory is None:
        return Check("memory", Level.OK, f"{free / 1e9:.1f} GB of {kind} are free.")
    weights = check_model_directory(directory)
    if float32:
        weights *= _FLOAT32_BYTES // _STORED_BYTES
    # The small checkpoint for tests has small pages as well.
    need = weights if weights < _PAGE_BYTES else weights + _PAGE_BYTES
    comparison = f"{free / 1e9:.1f} GB of {kind} are free, the model needs {need / 1e9:.1f} GB"
    if free >= need:
        return Check("memory", Level.OK, f"{comparison}.")
    return Check(
        "memory",
        Level.FAILURE,
        f"{comparison}. End other processes that use it. A server that is ready has its memory already.",
    )
