"""CPU cores that this process may use, by affinity and control groups."""

from __future__ import annotations

import math
import os
from pathlib import Path

#: Number of threads chosen by the user; torch reads it when it is imported.
THREADS_VARIABLE = "OMP_NUM_THREADS"
#: Eight processes render more pages than the fastest GPU measured reads, and than a task's own process takes
#: (``docs/measurements/pipeline.md``).
_MOST_RENDER_PROCESSES = 8
#: The control groups of this process, and the mount point of their files (cgroups(7), version 2).
_PROCESS_GROUPS, _MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def server_threads(cores: int | None = None) -> int | None:
    """Return the number of torch threads for a server on the CPU; None if the environment sets it.

    Torch starts a thread for each core of the host, even in a container that may use two cores. With three or
    more cores, one is left to the tasks, which render pages.

    :param cores: cores that this process may use; None measures them.
    """
    if os.environ.get(THREADS_VARIABLE):
        return None
    cores = cores or usable_cores()
    return cores - 1 if cores > 2 else cores


def default_render_processes(engine_cores: int = 1, cores: int | None = None) -> int:
    """Return how many processes render pages, if the connection does not say.

    :param engine_cores: cores that the task, and the model on this host, need for themselves.
    :param cores: cores that this process may use; None measures them.
    """
    return max(1, min(_MOST_RENDER_PROCESSES, (cores or usable_cores()) - engine_cores))


def usable_cores(
    affinity: int | None = None, *, process_groups: Path = _PROCESS_GROUPS, mount: Path = _MOUNT
) -> int:
    """Return the number of cores that this process may use, at least 1.

    :param affinity: cores that the scheduler may run this process on; None asks the kernel.
    :param process_groups: file that names the control groups of this process.
    :param mount: directory of the control groups' files.
    """
    cores = affinity or len(os.sched_getaffinity(0))
    return max(1, min([cores, *map(math.ceil, _quotas(process_groups, mount))]))


def _quotas(process_groups: Path, mount: Path) -> list[float]:
    """Return the quotas, in cores, of the process's control group and its parents, where they have one."""
    try:
        lines = process_groups.read_text().splitlines()
    except OSError:
        return []
    quotas = []
    for line in lines:
        if not line.startswith("0::/"):
            continue
        own = mount / line.removeprefix("0::/")
        for group in (own, *own.parents):
            try:
                quota, period = (group / "cpu.max").read_text().split()
                quotas.append(int(quota) / int(period))
            except (OSError, ValueError):
                continue  # no quota ("max"), or no such group
    return quotas
