"""Checks torch in the Python that runs the model, without importing it here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.exceptions import MissingExtraError
from airflow_deepseek_ocr.hardware.gpu import has_gpu

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.preflight.check import Check, Level
from airflow_deepseek_ocr.preflight.gpu import kernels_check

_TORCH_TIMEOUT_S = 120.0


#: Asked of the Python that will run the model, which may be another than this one.
_TORCH_PROBE = """
import json, torch, transformers, airflow_deepseek_ocr
there = torch.cuda.is_available()
print(json.dumps({
    "torch": torch.__version__, "transformers": transformers.__version__,
    "ours": airflow_deepseek_ocr.__version__, "cuda": torch.version.cuda,
    "kernels": torch.cuda.get_arch_list() if there else [],
    "capabilities": [torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())],
    "bf16": there and torch.cuda.is_bf16_supported(),
}))
"""


def torch(settings: Settings) -> Iterator[Check]:
    """Check torch in the Python that runs the model."""
    python = settings.server_python or sys.executable
    try:
        answer = _ask_torch(python)
    except MissingExtraError as error:
        yield Check("torch", Level.FAILURE, str(error))
        return
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        yield Check(
            "torch",
            Level.FAILURE,
            f"{python} cannot import torch, transformers and this package ({_last_line(error)}). "
            "There: pip install 'airflow-deepseek-ocr[transformers]'",
        )
        return
    yield Check(
        "torch",
        Level.OK,
        f"torch {answer['torch']} (CUDA {answer['cuda'] or 'none'}), transformers "
        f"{answer['transformers']} in {python}.",
    )
    if answer["ours"] != __version__:
        yield Check(
            "version",
            Level.WARNING,
            f"{python} has airflow-deepseek-ocr {answer['ours']}, this one {__version__}: install the "
            "same version in both.",
        )
    if settings.device == "cpu" or not has_gpu():
        return
    for capability in answer["capabilities"]:
        yield kernels_check(tuple(capability), answer["kernels"])
    if not answer["capabilities"]:
        yield Check(
            "kernels",
            Level.FAILURE,
            "torch sees no GPU. Install a torch for the driver's CUDA version (uv pip install "
            "--torch-backend auto torch), or set the device to cpu.",
        )
    elif not answer["bf16"] and settings.dtype in ("auto", "bfloat16"):
        yield Check(
            "bfloat16",
            Level.FAILURE,
            "The GPU does not compute in bfloat16: set the number format to float16 or float32.",
        )


def _ask_torch(python: str) -> dict[str, Any]:
    if python == sys.executable and importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "transformers")
    # A process of its own: CUDA must not begin in one that may fork.
    done = subprocess.run(  # noqa: S603
        [python, "-c", _TORCH_PROBE],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TORCH_TIMEOUT_S,
        check=True,
        cwd="/",
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _last_line(error: Exception) -> str:
    lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
