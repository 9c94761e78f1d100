"""The process namespace of this process: containers have their own, in which process ids begin at 1."""

from __future__ import annotations

import functools
from contextlib import suppress
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")
_INIT = Path("/proc/1/stat")
#: Index of ``starttime`` among the fields behind the program's name (``proc_pid_stat(5)``, field 22).
_START_TIME = 19


@functools.cache
def process_namespace() -> str:
    """Return an identity of the namespace that no other one has, on this host or another.

    The kernel reuses the numbers of namespaces, so a container that starts again may have that of the one
    before; the start of its first process differs.

    :return: boot id, number of the namespace, and start of its first process in ticks; a part that this
        system does not show is empty.
    """
    boot = number = start = ""
    with suppress(OSError):
        boot = _BOOT_ID.read_text().strip()
    with suppress(OSError):
        number = str(_NAMESPACE.stat().st_ino)
    with suppress(OSError, IndexError):
        start = _INIT.read_text().rpartition(")")[2].split()[_START_TIME]
    return f"{boot}/{number}/{start}"
