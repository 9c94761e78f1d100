"""How torch's threads wait for work on a CPU; to be set before torch is imported."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping

from airflow_deepseek_ocr.hardware.cpu_limits import THREADS_VARIABLE, usable_cores
from airflow_deepseek_ocr.hardware.gpu import has_gpu

#: By default OpenMP's threads spin while they wait for each other. On a host whose cores are busy they take
#: the cores from the threads that they wait for; ``docs/measurements/cpu-threads.md`` has figures. GNU's
#: library of torch's wheels reads the first variable, Intel's library the second.
WAITING = {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0"}


def sleep_while_waiting(
    device: str,
    environment: MutableMapping[str, str] = os.environ,
    gpu_present: Callable[[], bool] = has_gpu,
) -> None:
    """Let torch's threads sleep instead of spin, if the model runs on the CPU.

    The libraries read the variables when torch is imported. Variables that are set already are kept.

    :param device: device of the connection.
    :param environment: environment of this process.
    :param gpu_present: whether the host has a GPU, which ``auto`` takes.
    """
    if device == "cpu" or (device == "auto" and not gpu_present()):
        for name, value in WAITING.items():
            environment.setdefault(name, value)


def limit_threads() -> None:
    """Use no more of torch's threads than this process may use cores, unless the environment has a number.

    Torch starts a thread for each core of the host, also in a container that may use two of them.
    """
    import torch

    cores = usable_cores()
    if not os.environ.get(THREADS_VARIABLE) and torch.get_num_threads() > cores:
        torch.set_num_threads(cores)
