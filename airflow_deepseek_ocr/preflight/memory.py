"""Checks whether the model fits the free memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from airflow_deepseek_ocr.model.weights.files import check_model_directory

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.weights import directory_here

#: What a page's views and its place in the cache take beside the weights, at the published size.
_PAGE_BYTES = 2_500_000_000


#: Published checkpoints hold 16-bit weights.
_STORED_BYTES = 2


def host_memory(settings: Settings) -> Check:
    """Check the memory of the host."""
    free = psutil.virtual_memory().available
    return memory_check(settings, free, "memory", float32=settings.dtype in ("auto", "float32"))


def memory_check(settings: Settings, free: int, what: str, *, float32: bool) -> Check:
    """Compare free memory with what the model needs."""
    directory = directory_here(settings)
    if directory is None:
        return Check("memory", Level.OK, f"{free / 1e9:.1f} GB of {what} are free.")
    weights = check_model_directory(directory) * (4 // _STORED_BYTES if float32 else 1)
    small = weights < _PAGE_BYTES  # a checkpoint for tests has small pages too
    need = weights if small else weights + _PAGE_BYTES
    said = f"{free / 1e9:.1f} GB of {what} are free, the model needs {need / 1e9:.1f} GB"
    if free >= need:
        return Check("memory", Level.OK, f"{said}.")
    return Check(
        "memory",
        Level.FAILURE,
        f"{said}: end what else uses it. A server that is ready already has its share.",
    )
