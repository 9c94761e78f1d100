"""Is everything there that reading needs? Each answer is a line that says what to do."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.engines.choice import choose, remote_endpoint, server_plan
from airflow_deepseek_ocr.engines.gpu import Gpu, driver_and_gpus, has_gpu
from airflow_deepseek_ocr.engines.records import load_record, servers_folder
from airflow_deepseek_ocr.engines.server_check import ask_capabilities, ask_modes, prove_guard
from airflow_deepseek_ocr.errors import DeepSeekOCRError, MissingExtraError
from airflow_deepseek_ocr.model.availability import describe_availability
from airflow_deepseek_ocr.model.files import check_model_folder
from airflow_deepseek_ocr.model.source import (
    cached_hub_folder,
    check_model_name,
    is_local,
    local_folder,
)

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection import Settings
    from airflow_deepseek_ocr.engines.endpoint import Endpoint

#: The Test button may take 5 s in all.
_QUICK = httpx.Timeout(3.0)
#: A server that loads nothing answers a probe in seconds, on a CPU in a minute.
_PATIENT = httpx.Timeout(120.0, connect=10.0)
_TORCH_TIMEOUT_S = 120.0
#: What a page's views and its place in the cache take beside the weights, at the published size.
_PAGE_BYTES = 2_500_000_000
#: Published checkpoints hold 16-bit weights.
_STORED_BYTES = 2

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


class Level(StrEnum):
    """How good an answer is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Check:
    """An answer.

    :param name: what was looked at.
    :param level: how good it is.
    :param message: one line: what is there, and what to do.
    """

    name: str
    level: Level
    message: str


def quick_checks(settings: Settings, s3_client: Callable[[], Any] | None = None) -> Iterator[Check]:
    """What can be said without torch, without starting or fetching anything, in seconds.

    :param settings: the connection's.
    :param s3_client: makes a boto3 S3 client for mirrors; the host's own credentials if None.
    """
    chosen = choose(settings)
    if chosen == "remote":
        yield _guarded("server", lambda: _describe_remote(settings, _QUICK, guard=False))
        return
    yield _guarded("weights", lambda: describe_availability(settings, s3_client))
    if chosen in ("resident", "vllm"):
        yield _guarded("server", lambda: _describe_managed(settings, chosen))


def all_checks(settings: Settings, s3_client: Callable[[], Any] | None = None) -> Iterator[Check]:
    """Everything, as a worker sees it; takes up to a minute and starts no server.

    :param settings: the connection's.
    :param s3_client: see :func:`quick_checks`.
    """
    chosen = choose(settings)
    yield Check("version", Level.OK, f"airflow-deepseek-ocr {__version__}, engine {chosen}.")
    if chosen == "remote":
        yield _guarded("server", lambda: _describe_remote(settings, _PATIENT, guard=True))
        return
    yield from quick_checks(settings, s3_client)
    if chosen == "vllm":
        yield _vllm_command(settings)
    else:
        yield from _torch(settings)
    if settings.device != "cpu" and (has_gpu() or settings.device != "auto"):
        yield from _gpus(settings)
    else:
        yield _host_memory(settings)


def _guarded(name: str, describe: Callable[[], str]) -> Check:
    try:
        return Check(name, Level.OK, describe())
    except DeepSeekOCRError as error:
        return Check(name, Level.FAILURE, str(error))


def _describe_remote(settings: Settings, timeout: httpx.Timeout, *, guard: bool) -> str:
    endpoint = remote_endpoint(settings)
    capabilities, proven = _ask(endpoint, settings, timeout, guard=guard)
    whose = (
        f"airflow-deepseek-ocr {capabilities.version}" if capabilities.version else "vLLM or alike"
    )
    capabilities.require(settings.prompt, _some_mode(settings, capabilities.modes))
    return (
        f"{endpoint.url} serves {capabilities.model} ({whose}); modes: "
        f"{', '.join(capabilities.modes)}{'; the guard against repetitions is active' if proven else ''}."
    )


def _some_mode(settings: Settings, modes: tuple[str, ...]) -> str:
    """The mode that a reading begins with: ``auto`` takes what there is."""
    return settings.resolution if settings.resolution != "auto" else modes[0]


def _ask(endpoint: Endpoint, settings: Settings, timeout: httpx.Timeout, *, guard: bool) -> Any:
    with endpoint.client(timeout) as client:
        capabilities = ask_capabilities(client, endpoint, settings.model, settings.revision)
        if guard or settings.resolution not in ("auto", *capabilities.modes):
            capabilities = ask_modes(client, endpoint, capabilities)
        if guard:
            prove_guard(client, endpoint, capabilities, settings.decoding)
    return capabilities, guard or capabilities.guard is not None


def _describe_managed(settings: Settings, chosen: str) -> str:
    folder = _folder_here(settings)
    if folder is None:
        return "No server on this host: a worker starts one when it has the weights."
    record = load_record(servers_folder(), server_plan(settings, chosen, folder).key)
    if record is None or record.process() is None:
        return "No server runs on this host now; the first task on a worker starts one."
    with record.endpoint.client(_QUICK) as client:
        ask_capabilities(client, record.endpoint, settings.model, settings.revision)
    return f"A server is ready on this host: process {record.pid}, version {record.version}."


def _folder_here(settings: Settings) -> Path | None:
    """The model's folder, if this host has it and it is whole; the check of the weights says why not."""
    model, revision, cache = settings.model, settings.revision, settings.cache_folder
    try:
        check_model_name(model, revision)
        if is_local(model):
            folder: Path | None = local_folder(model)
        elif model.startswith("s3://"):
            from airflow_deepseek_ocr.model.mirror import mirror_folder

            folder = mirror_folder(model, revision, cache)
        else:
            folder = cached_hub_folder(model, revision, cache)
        if folder is not None:
            check_model_folder(folder)
    except DeepSeekOCRError:
        return None
    return folder


def _vllm_command(settings: Settings) -> Check:
    program = shlex.split(settings.vllm_command)[0]
    found = shutil.which(program)
    if found is None:
        return Check(
            "vllm",
            Level.FAILURE,
            f"{program} is not here. Install vLLM into an environment of its own, and set the "
            "connection's vLLM command to its path.",
        )
    return Check("vllm", Level.OK, f"{found} is there.")


def _torch(settings: Settings) -> Iterator[Check]:
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


def kernels_check(capability: tuple[int, ...], kernels: list[str]) -> Check:
    """Whether a torch build has kernels for a GPU.

    :param capability: the GPU's compute capability, such as (12, 1).
    :param kernels: what the build is for, such as ``sm_120`` and ``compute_120``.
    """
    major, minor = capability[:2]
    name = f"{major}.{minor}"
    # sm_90a is for 9.0 alone, as sm_90 is.
    built = [(kind, int("".join(filter(str.isdigit, number)))) for kind, _, number in
             (each.partition("_") for each in kernels)]  # fmt: skip
    wanted = major * 10 + minor
    if ("sm", wanted) in built:
        return Check("kernels", Level.OK, f"torch has kernels for compute capability {name}.")
    # Kernels run on later GPUs of the same major version; intermediate code is compiled for any later.
    same_major = any(kind == "sm" and wanted - minor <= each <= wanted for kind, each in built)
    if same_major or any(kind == "compute" and each <= wanted for kind, each in built):
        return Check(
            "kernels",
            Level.WARNING,
            f"torch was built for {', '.join(kernels)}, not for compute capability {name}; older "
            "kernels run on it. A newer torch may be faster.",
        )
    return Check(
        "kernels",
        Level.FAILURE,
        f"torch was built for {', '.join(kernels) or 'no GPU'} and has no kernels for compute capability "
        f"{name}: install a newer one (uv pip install --torch-backend auto torch).",
    )


def _gpus(settings: Settings) -> Iterator[Check]:
    try:
        driver, gpus = driver_and_gpus()
    except MissingExtraError as error:
        yield Check("gpu", Level.WARNING, f"The GPU's memory is not known: {error}")
        return
    except DeepSeekOCRError as error:
        yield Check("gpu", Level.FAILURE, f"{error} Install it, or set the device to cpu.")
        return
    number = settings.device.partition(":")[2]
    visible = _visible(gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    if not visible or int(number or 0) >= len(visible):
        yield Check(
            "gpu",
            Level.FAILURE,
            f"Driver {driver} shows {len(visible)} GPUs to this process, {settings.device!r} is none of "
            "them; see CUDA_VISIBLE_DEVICES.",
        )
        return
    gpu = visible[int(number or 0)]
    yield Check(
        "gpu",
        Level.OK,
        f"{gpu.name}, compute capability {'.'.join(map(str, gpu.capability))}, driver {driver}.",
    )
    free = psutil.virtual_memory().available if gpu.free_bytes is None else gpu.free_bytes
    yield _memory_check(settings, free, "GPU memory", float32=settings.dtype == "float32")


def _visible(gpus: list[Gpu], variable: str | None) -> list[Gpu]:
    """The GPUs as CUDA numbers them for this process, where the variable holds plain numbers."""
    if variable is None:
        return gpus
    numbers = [each.strip() for each in variable.split(",")]
    if not all(each.isdigit() for each in numbers):
        return gpus if variable.strip() not in ("", "-1") else []
    return [gpus[int(each)] for each in numbers if int(each) < len(gpus)]


def _host_memory(settings: Settings) -> Check:
    free = psutil.virtual_memory().available
    return _memory_check(settings, free, "memory", float32=settings.dtype in ("auto", "float32"))


def _memory_check(settings: Settings, free: int, what: str, *, float32: bool) -> Check:
    folder = _folder_here(settings)
    if folder is None:
        return Check("memory", Level.OK, f"{free / 1e9:.1f} GB of {what} are free.")
    weights = check_model_folder(folder) * (4 // _STORED_BYTES if float32 else 1)
    small = weights < _PAGE_BYTES  # a checkpoint for tests has small pages too
    need = weights if small else weights + _PAGE_BYTES
    said = f"{free / 1e9:.1f} GB of {what} are free, the model needs {need / 1e9:.1f} GB"
    if free >= need:
        return Check("memory", Level.OK, f"{said}.")
    return Check(
        "memory",
        Level.FAILURE,
        f"{said}: end what else uses it. A server that is ready already has its share.",
    )
