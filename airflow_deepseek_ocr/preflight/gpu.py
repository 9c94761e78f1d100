"""Checks of the GPU that the connection selects: driver, visibility, memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, MissingExtraError
from airflow_deepseek_ocr.hardware.devices import split_devices
from airflow_deepseek_ocr.hardware.gpu import VISIBLE_VARIABLE, Gpu, visible_gpus
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.host import THIS_HOST, Host
from airflow_deepseek_ocr.preflight.memory import check_memory

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings


#: Compute capability that vLLM's published wheels and images are not built for (NVIDIA GB10):
#: https://github.com/vllm-project/vllm/pull/38484, https://github.com/vllm-project/vllm/issues/36835.
_NOT_IN_VLLM = (12, 1)


def check_vllm_gpu(settings: Settings, host: Host = THIS_HOST) -> Iterator[Check]:
    """Warn of a GPU that vLLM's published builds have no kernels for.

    :param settings: settings of the connection.
    :param host: host to ask.
    """
    try:
        gpus = _selected(settings, host.driver_and_gpus()[1])
    except DeepSeekOCRError:
        return  # check_gpu reports it
    gpu = next((each for each in gpus.values() if each and each.capability == _NOT_IN_VLLM), None)
    if gpu is None:
        return
    memory = (
        " It shares its memory with the host: add --gpu-memory-utilization 0.4 to the vLLM options."
        if gpu.free_bytes is None
        else ""
    )
    yield Check(
        "vllm",
        Level.WARNING,
        f"vLLM's published wheels and images are not built for the compute capability 12.1 of {gpu.name}; "
        "kernels for 12.0 run where a build has them. Recommended: set the connection's engine to "
        f"resident, or use a vLLM that was built for 12.1.{memory}",
    )


def check_gpu(settings: Settings, host: Host = THIS_HOST) -> Iterator[Check]:
    """Check the driver, the GPUs that the settings select, and their free memory.

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
    try:
        selected = _selected(settings, gpus)
    except DeepSeekOCRError as error:
        yield Check("gpu", Level.FAILURE, str(error))
        return
    visible = len(_visible(gpus))
    for device, gpu in selected.items():
        if gpu is None:
            yield Check(
                "gpu",
                Level.FAILURE,
                f"Driver {driver} shows {visible} GPUs to this process, {device!r} is none of them. Change "
                f"the connection's device, or the variable {VISIBLE_VARIABLE}.",
            )
        else:
            yield from _check_one(settings, host, driver, gpu)
    if visible > len(selected) and all(selected.values()):
        yield Check(
            "gpu",
            Level.OK,
            f"The connection's device {settings.device} uses {len(selected)} of {visible} visible GPUs. Set "
            "it to all for a server on each, if no other program needs them.",
        )


def _check_one(settings: Settings, host: Host, driver: str, gpu: Gpu) -> Iterator[Check]:
    yield Check(
        "gpu",
        Level.OK,
        f"{gpu.name}, compute capability {'.'.join(map(str, gpu.capability))}, driver {driver}.",
    )
    float32 = settings.dtype == "float32"
    if gpu.free_bytes is None:
        kind = "memory that CPU and GPU share (unified; the driver does not report it)"
        yield check_memory(settings, host.available_bytes(), kind, float32=float32)
    else:
        yield check_memory(settings, gpu.free_bytes, "GPU memory", float32=float32)


def _visible(gpus: Sequence[Gpu]) -> list[Gpu]:
    return visible_gpus(gpus, os.environ.get(VISIBLE_VARIABLE))


def _selected(settings: Settings, gpus: Sequence[Gpu]) -> dict[str, Gpu | None]:
    """Return the GPUs that the connection's device means; None for one that this process does not see.

    :raises ConfigurationError: ``device`` if all GPUs are meant, and there is none.
    """
    visible = _visible(gpus)
    numbers = {
        device: int(device.partition(":")[2] or 0)
        for device in split_devices(settings.device, gpu_count=lambda: len(visible))
    }
    return {
        device: visible[number] if number < len(visible) else None
        for device, number in numbers.items()
    }
