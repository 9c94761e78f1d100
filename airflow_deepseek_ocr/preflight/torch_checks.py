"""Checks of torch in the Python that runs the model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.exceptions import MissingExtraError
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.host import THIS_HOST, Host
from airflow_deepseek_ocr.preflight.torch_probe import TorchInstallation, TorchProbeError

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings


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
        yield from _check_gpu_support(installed, settings.dtype)


def _check_gpu_support(installed: TorchInstallation, dtype: str) -> Iterator[Check]:
    for capability in installed.capabilities:
        yield check_kernels(capability, installed.kernels)
    if not installed.capabilities:
        yield Check(
            "kernels",
            Level.FAILURE,
            "torch sees no GPU. Install a torch for the driver's CUDA version (uv pip install "
            "--torch-backend auto torch), or set the connection's device to cpu.",
        )
    elif not installed.bfloat16 and dtype in ("auto", "bfloat16"):
        yield Check(
            "bfloat16",
            Level.FAILURE,
            "The GPU does not compute in bfloat16. Set the connection's dtype to float16 or float32.",
        )


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
    same_major = any(kind == "sm" and wanted - minor <= each <= wanted for kind, each in built)
    if same_major or any(kind == "compute" and each <= wanted for kind, each in built):
        return Check(
            "kernels",
            Level.WARNING,
            f"torch was built for {', '.join(kernels)}, not for compute capability {name}. Older kernels "
            "run on this GPU; a newer torch may be faster.",
        )
    return Check(
        "kernels",
        Level.FAILURE,
        f"torch was built for {', '.join(kernels) or 'no GPU'} and has no kernels for compute capability "
        f"{name}. Install a newer one (uv pip install --torch-backend auto torch).",
    )
