"""Probe of torch in the Python that runs the model; this process does not import torch."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from airflow_deepseek_ocr.exceptions import MissingExtraError

#: Seconds for importing torch and transformers from a cold disk.
_TIMEOUT_S = 120.0
_PROBE = """
import importlib.metadata, json, os, platform, shutil, sysconfig
import torch, transformers, airflow_deepseek_ocr
gpu = torch.cuda.is_available()
print(json.dumps({
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "package": airflow_deepseek_ocr.__version__,
    "cuda": torch.version.cuda,
    "kernels": torch.cuda.get_arch_list() if gpu else [],
    "capabilities": [
        torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count() if gpu else 0)
    ],
    "bfloat16": gpu and torch.cuda.is_bf16_supported(),
    "machine": platform.machine(),
    "triton": next(
        (each.version for each in importlib.metadata.distributions(name="triton")), None
    ),
    "c_compiler": any(map(shutil.which, (os.environ.get("CC") or "cc", "gcc", "clang"))),
    "python_headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
}))
"""


@dataclass(frozen=True, kw_only=True)
class TorchInstallation:
    """Packages of a Python, and the GPUs that its torch sees.

    :param torch: version of torch.
    :param transformers: version of transformers.
    :param package: version of this package.
    :param cuda: version of CUDA that torch was built for; None for a build without CUDA.
    :param kernels: architectures that torch has kernels for, such as ``sm_90``.
    :param capabilities: compute capability of each visible GPU, such as (9, 0).
    :param bfloat16: whether the current GPU computes in bfloat16.
    :param machine: architecture of the host, such as ``x86_64`` or ``aarch64``.
    :param triton: version of triton, which compiles layers for GPUs; None without it.
    :param c_compiler: whether a C compiler is found, which triton calls.
    :param python_headers: whether Python's C headers are installed, which triton's launchers include.
    """

    torch: str
    transformers: str
    package: str
    cuda: str | None
    kernels: tuple[str, ...]
    capabilities: tuple[tuple[int, ...], ...]
    bfloat16: bool
    machine: str
    triton: str | None
    c_compiler: bool
    python_headers: bool


class TorchProbeError(Exception):
    """A Python cannot be started, or cannot import torch, transformers and this package."""


def probe_torch(python: Path) -> TorchInstallation:
    """Return what a Python has installed.

    :param python: path of the Python.
    :raises MissingExtraError: ``missing_extra`` if this process's Python lacks torch.
    :raises TorchProbeError: the Python cannot be asked; the message is the last line of its error.
    """
    if python == Path(sys.executable) and importlib.util.find_spec("torch") is None:
        raise MissingExtraError(package="torch", extra="transformers")
    try:
        # In a child process: a process that has initialised CUDA must not fork, and Airflow's tasks do.
        done = subprocess.run(  # noqa: S603
            [python, "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=True,
            cwd="/",
        )
        values = json.loads(done.stdout.splitlines()[-1])
        return TorchInstallation(
            torch=values["torch"],
            transformers=values["transformers"],
            package=values["package"],
            cuda=values["cuda"],
            kernels=tuple(values["kernels"]),
            capabilities=tuple(tuple(each) for each in values["capabilities"]),
            bfloat16=values["bfloat16"],
            machine=values["machine"],
            triton=values["triton"],
            c_compiler=values["c_compiler"],
            python_headers=values["python_headers"],
        )
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError) as error:
        raise TorchProbeError(_last_line(error)) from error


def _last_line(error: Exception) -> str:
    lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
    return str(lines[-1]) if lines else type(error).__name__
