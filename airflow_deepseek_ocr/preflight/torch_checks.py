"""Checks of torch in the Python that runs the model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, MissingExtraError
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.host import THIS_HOST, Host
from airflow_deepseek_ocr.preflight.torch_probe import TorchInstallation, TorchProbeError

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings


#: First torch whose wheels for ARM64 on PyPI require CUDA's libraries (metadata of 2.9.1 to 2.14.0).
_FIRST_ARM64_CUDA = "2.11"
_ARM64 = ("aarch64", "arm64")
#: Oldest major version of the Linux driver for each major version of CUDA (CUDA's release notes, "CUDA
#: Toolkit and Minimum Required Driver Version for CUDA Minor Version Compatibility").
_DRIVER_OF_CUDA = {"11": 450, "12": 525, "13": 580}
#: First triton whose assembler knows ``sm_121a`` (https://github.com/triton-lang/triton/issues/10331).
_TRITON_FOR_12_1 = (3, 6)


def check_torch(settings: Settings, host: Host = THIS_HOST) -> Iterator[Check]:
    """Check torch, the version of this package beside it, and its kernels for the GPUs.

    :param settings: settings of the connection; ``server_python`` names the Python, else this one.
    :param host: host to ask.
    """
    python = Path(settings.server_python or sys.executable)
    try:
        installed = host.probe_torch(python)
    except MissingExtraError as error:
        yield Check("torch", Level.FAILURE, str(error))
        return
    except TorchProbeError as error:
        yield Check(
            "torch",
            Level.FAILURE,
            f"{python} cannot import torch, transformers and this package ({error}). "
            "There: pip install 'airflow-deepseek-ocr[transformers]'",
        )
        return
    yield Check(
        "torch",
        Level.OK,
        f"torch {installed.torch} (CUDA {installed.cuda or 'none'}), transformers "
        f"{installed.transformers} in {python}.",
    )
    if installed.package != __version__:
        yield Check(
            "version",
            Level.WARNING,
            f"{python} has airflow-deepseek-ocr {installed.package}, this Python has {__version__}. A server "
            f"of another version may reject its options. There: pip install "
            f"'airflow-deepseek-ocr[transformers]=={__version__}'",
        )
    if settings.device != "cpu" and host.has_gpu():
        if installed.capabilities:
            yield from _check_gpu_support(installed, settings.dtype)
        else:
            yield Check("kernels", Level.FAILURE, _reason_of_no_gpu(installed, host))


def _check_gpu_support(installed: TorchInstallation, dtype: str) -> Iterator[Check]:
    for capability in installed.capabilities:
        yield check_kernels(capability, installed.kernels)
    if not installed.bfloat16 and dtype in ("auto", "bfloat16"):
        yield Check(
            "bfloat16",
            Level.FAILURE,
            "The GPU does not compute in bfloat16. Set the connection's dtype to float16 or float32.",
        )
    remedy = _remedy_for_compiling(installed)
    if remedy:
        yield Check(
            "compiler",
            Level.WARNING,
            f"The model's layers cannot be compiled and run several times slower: {remedy}",
        )


def _reason_of_no_gpu(installed: TorchInstallation, host: Host) -> str:
    """Return why torch sees no GPU although the host has one, and what to do."""
    if installed.cuda is None and installed.machine in _ARM64:
        return (
            f"torch {installed.torch} was built without CUDA: the model would run on the CPU. On ARM64, "
            f"torch from PyPI has CUDA since {_FIRST_ARM64_CUDA}: pip install --upgrade "
            f"'torch>={_FIRST_ARM64_CUDA}'"
        )
    if installed.cuda is None:
        return (
            f"torch {installed.torch} was built without CUDA: the model would run on the CPU. Install "
            "a build with CUDA (uv pip install --torch-backend auto --reinstall-package torch torch), or set "
            "the connection's device to cpu."
        )
    needed = _DRIVER_OF_CUDA.get(installed.cuda.partition(".")[0])
    driver = _driver(host)
    if needed and driver and int(driver.partition(".")[0]) < needed:
        return (
            f"The NVIDIA driver {driver} is too old for torch {installed.torch} with CUDA {installed.cuda}, "
            f"which needs {needed} or later. Update the driver, or install a torch for an older CUDA (uv pip "
            "install --torch-backend auto --reinstall-package torch torch)."
        )
    return (
        f"torch {installed.torch} with CUDA {installed.cuda} sees no GPU. In a container, start it with the "
        "NVIDIA container toolkit (docker run --gpus all); otherwise install a torch for the driver's CUDA "
        "version (uv pip install --torch-backend auto torch), or set the connection's device to cpu."
    )


def _driver(host: Host) -> str | None:
    """Return the driver's version; None if it is unknown, which :func:`check_gpu` reports."""
    try:
        version = host.driver_and_gpus()[0]
    except DeepSeekOCRError:
        return None
    return version if version.partition(".")[0].isdigit() else None


def _remedy_for_compiling(installed: TorchInstallation) -> str | None:
    """Return what lets torch compile layers for the GPUs; None if nothing is missing."""
    if installed.triton is None:
        return "triton is missing. It comes with torch's builds for CUDA; install one again."
    number = tuple(int(each) for each in installed.triton.split(".")[:2] if each.isdigit())
    if number < _TRITON_FOR_12_1 and (12, 1) in installed.capabilities:
        return (
            f"triton {installed.triton} cannot compile for compute capability 12.1. Install "
            f"'torch>={_FIRST_ARM64_CUDA}', or set TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas of CUDA 13."
        )
    if not installed.c_compiler:
        return "there is no C compiler. On Debian and Ubuntu: apt-get install gcc"
    if not installed.python_headers:
        return "Python's C headers are missing. On Debian and Ubuntu: apt-get install python3-dev"
    return None


def check_kernels(capability: Sequence[int], kernels: Sequence[str]) -> Check:
    """Check whether a build of torch has kernels for a GPU.

    :param capability: compute capability of the GPU, such as (12, 1).
    :param kernels: architectures of the build, such as ``sm_120`` (binary kernels) and ``compute_120``
        (PTX, which the driver compiles).
    """
    major, minor = capability[:2]
    name = f"{major}.{minor}"
    # The letter of sm_90a is dropped: such kernels run on 9.0 only, where those of sm_90 run as well.
    built = [
        (kind, int("".join(filter(str.isdigit, number))))
        for kind, _, number in (each.partition("_") for each in kernels)
    ]
    wanted = major * 10 + minor
    if ("sm", wanted) in built:
        return Check("kernels", Level.OK, f"torch has kernels for compute capability {name}.")
    # Binary kernels run on later minor versions of the same major version, PTX on all later versions.
    lowest = {"sm": wanted - minor, "compute": 0}
    older = max((each for kind, each in built if lowest[kind] <= each <= wanted), default=None)
    if older is not None:
        return Check(
            "kernels",
            Level.WARNING,
            f"torch was built for {', '.join(kernels)}, not for compute capability {name}. This works: "
            f"kernels for {'.'.join(map(str, divmod(older, 10)))} run on this GPU. The warning that torch "
            "prints at the start can be ignored.",
        )
    return Check(
        "kernels",
        Level.FAILURE,
        f"torch was built for {', '.join(kernels) or 'no GPU'} and has no kernels for compute capability "
        f"{name}. Install a newer one (uv pip install --torch-backend auto torch).",
    )
