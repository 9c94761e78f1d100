"""How many cores a server on a CPU takes."""

from __future__ import annotations

import math
import os
from pathlib import Path

#: The user's own choice, read by torch when it is imported; everything else gives way to it.
THREADS_VARIABLE = "OMP_NUM_THREADS"
_CGROUP, _MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def server_threads() -> int | None:
    """Threads for a server on a CPU: all cores it may use but one; None if the environment says it.

    By itself torch takes a thread for each core of the host, also in a container that may use two of them.
    One core is left to the tasks, which draw the pages, where there are more than two.
    """
    if os.environ.get(THREADS_VARIABLE):
        return None
    cores = usable_cores()
    return cores - 1 if cores > 2 else cores


def usable_cores() -> int:
    """Cores that this process may use, by its affinity and by the quota of its control groups (v2)."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas())]))


def _quotas() -> list[float]:
    """Cores a second, of the process's control group and those around it, as far as they are limited."""
    try:
        lines = _CGROUP.read_text().splitlines()
    except OSError:
        return []
    quotas = []
    for line in lines:
        if not line.startswith("0::/"):
            continue
        own = _MOUNT / line.removeprefix("0::/")
        for group in (own, *own.parents):
            try:
                quota, period = (group / "cpu.max").read_text().split()
                quotas.append(int(quota) / int(period))
            except (OSError, ValueError):
                continue  # no limit, or no group
    return quotas
