"""Checks of the GPU: driver, kernels, memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, MissingExtraError
from airflow_deepseek_ocr.hardware.gpu import VISIBLE_VARIABLE, driver_and_gpus, visible_gpus

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.memory import memory_check


def kernels_check(capability: tuple[int, ...], kernels: list[str]) -> Check:
    """Whether a torch build has kernels for a GPU.

    :param capability: the GPU's compute capability, such as (12, 1).
    :param kernels: what the build is for, such as ``sm_120`` and ``compute_120``.
    """
    major, minor = capability[:2]
    name = f"{major}.{minor}"
    # sm_90a is for 9.0 alone, as sm_90 is.
    built = [(kind, int("".join(filter(str.isdigit, number)))) for kind, _, number in
             (each.partition("_") for each in kernels)]  # fmt: skip
    wanted = major * 10 + minor
    if ("sm", wanted) in built:
        return Check("kernels", Level.OK, f"torch has kernels for compute capability {name}.")
    # Kernels run on later GPUs of the same major version; intermediate code is compiled for any later.
    same_major = any(kind == "sm" and wanted - minor <= each <= wanted for kind, each in built)
    if same_major or any(kind == "compute" and each <= wanted for kind, each in built):
        return Check(
            "kernels",
            Level.WARNING,
            f"torch was built for {', '.join(kernels)}, not for compute capability {name}; older "
            "kernels run on it. A newer torch may be faster.",
        )
    return Check(
        "kernels",
        Level.FAILURE,
        f"torch was built for {', '.join(kernels) or 'no GPU'} and has no kernels for compute capability "
        f"{name}: install a newer one (uv pip install --torch-backend auto torch).",
    )


def gpus(settings: Settings) -> Iterator[Check]:
    """Check the GPU that the settings choose."""
    try:
        driver, gpus = driver_and_gpus()
    except MissingExtraError as error:
        yield Check("gpu", Level.WARNING, f"The GPU's memory is not known: {error}")
        return
    except DeepSeekOCRError as error:
        yield Check("gpu", Level.FAILURE, f"{error} Install it, or set the device to cpu.")
        return
    number = settings.device.partition(":")[2]
    visible = visible_gpus(gpus, os.environ.get(VISIBLE_VARIABLE))
    if not visible or int(number or 0) >= len(visible):
        yield Check(
            "gpu",
            Level.FAILURE,
            f"Driver {driver} shows {len(visible)} GPUs to this process, {settings.device!r} is none of "
            "them; see CUDA_VISIBLE_DEVICES.",
        )
        return
    gpu = visible[int(number or 0)]
    yield Check(
        "gpu",
        Level.OK,
        f"{gpu.name}, compute capability {'.'.join(map(str, gpu.capability))}, driver {driver}.",
    )
    free = psutil.virtual_memory().available if gpu.free_bytes is None else gpu.free_bytes
    yield memory_check(settings, free, "GPU memory", float32=settings.dtype == "float32")
