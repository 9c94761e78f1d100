"""Checks of the GPU that the connection selects: driver, visibility, memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, MissingExtraError
from airflow_deepseek_ocr.hardware.gpu import VISIBLE_VARIABLE, visible_gpus
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.host import THIS_HOST, Host
from airflow_deepseek_ocr.preflight.memory import check_memory

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings


def check_gpu(settings: Settings, host: Host = THIS_HOST) -> Iterator[Check]:
    """Check the driver, the GPU that the settings select, and its free memory.

    :param settings: settings of the connection.
    :param host: host to ask.
    """
    try:
        driver, gpus = host.driver_and_gpus()
    except MissingExtraError as error:
        yield Check("gpu", Level.WARNING, f"The GPU's memory is unknown: {error}")
        return
    except DeepSeekOCRError as error:
        yield Check(
            "gpu",
            Level.FAILURE,
            f"{error} Install the driver, or set the connection's device to cpu.",
        )
        return
    index = int(settings.device.partition(":")[2] or 0)
    visible = visible_gpus(gpus, os.environ.get(VISIBLE_VARIABLE))
    if index >= len(visible):
        yield Check(
            "gpu",
            Level.FAILURE,
            f"Driver {driver} shows {len(visible)} GPUs to this process, {settings.device!r} is none of "
            f"them. Change the connection's device, or the variable {VISIBLE_VARIABLE}.",
        )
        return
    gpu = visible[index]
    yield Check(
        "gpu",
        Level.OK,
        f"{gpu.name}, compute capability {'.'.join(map(str, gpu.capability))}, driver {driver}.",
    )
    # A GPU that shares the host's memory reports none.
    free = psutil.virtual_memory().available if gpu.free_bytes is None else gpu.free_bytes
    yield check_memory(settings, free, "GPU memory", float32=settings.dtype == "float32")
