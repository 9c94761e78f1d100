"""How many processes render pages for a task."""

from __future__ import annotations

from collections.abc import Callable

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.hardware.cpu_limits import default_render_processes
from airflow_deepseek_ocr.hardware.gpu import has_gpu

#: Cores that are left to the task itself, which sends pages and stores rows, and to a model on a GPU of this
#: host besides: a thread that feeds the GPU, and one that prepares 20 pages per second for it.
_TASK_CORES, _GPU_CORES = 1, 2


def render_processes(
    settings: Settings, *, cores: int | None = None, gpu_present: Callable[[], bool] = has_gpu
) -> int:
    """Return the connection's number of rendering processes, or the default on this host.

    The default is the number of cores that this process may use, less those that the task and a model on this
    host need, at least 1 and at most 8. A model on the CPU uses all cores, so that one process renders.

    :param settings: of the connection.
    :param cores: cores that this process may use; None measures them.
    :param gpu_present: whether this host has a GPU.
    """
    if settings.render_processes is not None:
        return settings.render_processes
    if settings.host:
        return default_render_processes(_TASK_CORES, cores)
    if settings.device == "cpu" or not gpu_present():
        return 1
    return default_render_processes(_TASK_CORES + _GPU_CORES, cores)
