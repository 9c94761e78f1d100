"""The order in which a child gives up its rights."""

from __future__ import annotations

import os
import platform
import resource
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from airflow_deepseek_ocr.ocr.rendering.sandbox.kernel import (
    drop_capabilities,
    forbid_new_privileges,
    set_filter,
)
from airflow_deepseek_ocr.ocr.rendering.sandbox.landlock import landlock_abi, restrict_files
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import SandboxReport
from airflow_deepseek_ocr.ocr.rendering.sandbox.seccomp import build_filter
from airflow_deepseek_ocr.ocr.rendering.sandbox.syscalls import architecture

#: Directories that PDFium searches for fonts that a document does not embed (``fx_linux_impl.cpp``).
FONTS = (Path("/usr/share/fonts"), Path("/usr/share/X11/fonts"), Path("/usr/local/share/fonts"))

#: Open files, at most: the decoders have two or three open at a time.
_MAX_OPEN_FILES = 64


@dataclass(frozen=True)
class Host:
    """The kernel's means that this process uses; tests pass other ones for older kernels.

    :param landlock_abi: version of the interface for Landlock; 0 if it is missing.
    :param machine: name of the architecture.
    """

    landlock_abi: int
    machine: str

    @classmethod
    def this(cls) -> Host:
        """Return the means of this host."""
        return cls(landlock_abi(), platform.machine())


def restrict(modules: Iterable[ModuleType], host: Host) -> SandboxReport:
    """Give up all rights that decoding does not need, for the rest of this process's life.

    This process may still read the standard library, the given packages and fonts, and use open descriptors.
    It must have one thread: the kernel restricts the calling thread and those that it starts later.

    :param modules: packages that may be imported in part when a decoder needs them.
    :param host: means to use.
    :return: the restrictions that hold. None is skipped because another one failed.
    """
    missing: list[str] = []
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_MAX_OPEN_FILES, most),) * 2)
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 -- the number is enough
        missing.append("one thread: a library, perhaps in LD_PRELOAD, started others")
    _try(forbid_new_privileges, "no new privileges: {}", missing)
    _try(drop_capabilities, "dropping of capabilities: {}", missing)
    abi = 0
    if host.landlock_abi < 1:
        missing.append(
            "Landlock: use Linux 5.13 or newer with landlock in the kernel's parameter lsm, and a container "
            "runtime that allows its system calls"
        )
    elif _try(
        lambda: restrict_files(_readable(modules), host.landlock_abi), "Landlock: {}", missing
    ):
        abi = host.landlock_abi
    numbers = architecture(host.machine)
    if numbers is None:
        missing.append(f"seccomp filter: it is written for x86-64 and ARM64, not {host.machine}")
    else:
        instructions = build_filter(numbers, os.getpid())
        _try(
            lambda: set_filter(instructions),
            "seccomp filter: {}; use a kernel with CONFIG_SECCOMP_FILTER",
            missing,
        )
    return SandboxReport(abi, tuple(missing))


def _readable(modules: Iterable[ModuleType]) -> set[Path]:
    paths = sysconfig.get_paths()
    packages = {Path(module.__file__).parent for module in modules if module.__file__}
    return {Path(paths["stdlib"]), Path(paths["platstdlib"]), *packages, *FONTS}


def _try(action: Callable[[], None], words: str, missing: list[str]) -> bool:
    try:
        action()
    except OSError as error:
        missing.append(words.format(error.strerror))
        return False
    return True
