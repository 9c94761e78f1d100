"""Facts that a run depends on: host, GPU, versions, model, settings; gathered without importing torch."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.hardware.cpu_limits import usable_cores
from airflow_deepseek_ocr.hardware.torch_build import cuda_of_torch
from airflow_deepseek_ocr.model.weights.files import CONFIG, TOKENIZER, weight_files
from airflow_deepseek_ocr.ocr.prompts import prompt_line
from airflow_deepseek_ocr.preflight.host import THIS_HOST, Host
from airflow_deepseek_ocr.printable import hide_logins

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
    from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig

#: Names and values, in the order in which a record lists them.
Facts = list[tuple[str, str]]

#: Packages that decide the output or the speed.
_PACKAGES = ("torch", "transformers", "triton", "pypdfium2", "pillow", "vllm", "apache-airflow")
#: Variables that change where or how the model runs; those that hold URLs may have a login in them.
_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_PTXAS_PATH",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "AWS_ENDPOINT_URL",
)
_CHUNK_BYTES = 1 << 20
_CPU_INFO = Path("/proc/cpuinfo")


def host_facts(host: Host = THIS_HOST) -> Facts:
    """Return operating system, architecture, CPU, memory, GPUs and the environment's variables.

    :param host: host to ask for its GPUs.
    """
    memory = psutil.virtual_memory()
    facts = [
        ("Operating system", f"{_distribution()}, kernel {platform.release()}"),
        ("Architecture", platform.machine()),
        ("CPU", f"{_cpu()}, {usable_cores()} usable cores"),
        ("Memory", f"{memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB available"),
        *_gpu_facts(host),
    ]
    return facts + [
        (name, hide_logins(os.environ[name])) for name in _VARIABLES if name in os.environ
    ]


def version_facts() -> Facts:
    """Return the versions of this package, Python and the packages that decide output or speed."""
    facts = [("airflow-deepseek-ocr", __version__), ("Python", platform.python_version())]
    for name in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(name)
            if name == "torch":
                version += f", CUDA {cuda_of_torch() or 'none'}"
            facts.append((name, version))
    return facts


def settings_facts(settings: Settings, config: ProcessingConfig) -> Facts:
    """Return how pages are read: model, engine, prompt, mode, retry steps.

    :param settings: settings of the connection.
    :param config: the processing configuration.
    """
    return [
        ("Model", config.model),
        ("Revision", config.revision or "none"),
        ("Engine", settings.engine),
        ("Device", settings.device),
        ("Data type", settings.dtype),
        ("Prompt", config.prompt),
        ("Line sent after the image", prompt_line(config.prompt)),
        ("Resolution mode", config.resolution),
        ("Retry steps", config.retry_with or "none"),
        ("Text layer", config.text_layer),
        ("Figures", config.figures),
        ("Minimum score", f"{config.min_score:g}"),
        ("Pages", config.pages or "all"),
        ("DPI", str(config.dpi)),
        ("Most output tokens", str(config.max_output_length)),
    ]


def file_facts(directory: Path) -> Facts:
    """Return size and SHA-256 of the checkpoint's files, which are read completely.

    :param directory: complete directory of the model.
    :raises UnavailableError: ``model_incomplete``.
    """
    paths = [directory / CONFIG, directory / TOKENIZER, *weight_files(directory)]
    return [(path.name, f"{path.stat().st_size} bytes, sha256 {_sha256(path)}") for path in paths]


def _gpu_facts(host: Host) -> Facts:
    if not host.has_gpu():
        return [("GPU", "none")]
    try:
        driver, gpus = host.driver_and_gpus()
    except DeepSeekOCRError as error:
        return [("GPU", f"unknown: {error}")]
    return [
        ("NVIDIA driver", driver),
        *(
            (
                f"GPU {gpu.index}",
                f"{gpu.name}, compute capability {'.'.join(map(str, gpu.capability))}, "
                + (
                    "memory shared with the CPU"
                    if gpu.total_bytes is None
                    else f"{gpu.total_bytes / 1e9:.1f} GB"
                ),
            )
            for gpu in gpus
        ),
    ]


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _cpu() -> str:
    """Return the CPU's name; on ARM64 the kernel gives none."""
    with suppress(OSError):
        for line in _CPU_INFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return value.strip()
    return platform.processor() or platform.machine()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
