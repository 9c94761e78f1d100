"""The arguments of ``up`` as lines of ``.env``: model, GPU, and what is laid over ``compose.yaml``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError
from stack.host import Host

PUBLISHED_MODEL = "deepseek-ai/DeepSeek-OCR"
SMALL_MODEL = "/checkpoints/deepseek-ocr-tiny"
WITH = ("none", "server", "vllm", "spark")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Arguments:
    """Arguments of one call; None where the last call's value stays.

    :param model: hub id, ``s3://`` prefix, directory of the host, or directory in ``/checkpoints``.
    :param revision: commit of a hub model.
    :param gpu: ``0``, ``1`` or ``auto``.
    :param overlay: one of :data:`WITH`.
    """

    model: str | None = None
    revision: str | None = None
    gpu: str | None = None
    overlay: str | None = None


def choose(arguments: Arguments, recorded: dict[str, str], host: Host) -> dict[str, str]:
    """Return the lines of ``.env`` that these arguments decide.

    :param arguments: of this call.
    :param recorded: variables of ``.env``; empty at the first call.
    :param host: what this host has.
    :raises StackError: arguments that contradict each other or this host.
    """
    files = recorded.get("COMPOSE_FILE", "").split(":")
    overlay = arguments.overlay or _recorded_overlay(files)
    if overlay not in WITH:
        raise StackError(f"WITH={overlay} is unknown. Give one of {', '.join(WITH)}.")
    uses_gpu = _uses_gpu(arguments.gpu, overlay, recorded, host)
    if overlay == "none" and uses_gpu and host.is_spark and not recorded:
        overlay = "spark"
    # The published model takes minutes per page on a CPU.
    model = (
        arguments.model
        or recorded.get("OCR_MODEL")
        or (PUBLISHED_MODEL if uses_gpu else SMALL_MODEL)
    )
    revision = arguments.revision
    if revision is None:
        revision = recorded.get("OCR_REVISION", "") if model == recorded.get("OCR_MODEL") else ""
    return {
        **_model(model, revision, overlay),
        "COMPOSE_FILE": ":".join(compose_files(overlay, uses_gpu)),
        # PyPI's wheels bring CUDA, ten times the size.
        "TORCH_BACKEND": "" if uses_gpu else "cpu",
    }


def compose_files(overlay: str, uses_gpu: bool) -> list[str]:
    """Return the files that make up a deployment.

    :param overlay: one of :data:`WITH`.
    :param uses_gpu: whether the model runs on a GPU.
    """
    if overlay == "server":
        return ["compose.yaml", "server.yaml", *(["server-gpu.yaml"] if uses_gpu else [])]
    if overlay in ("vllm", "spark"):
        return ["compose.yaml", f"{overlay}.yaml"]
    return ["compose.yaml", *(["gpu.yaml"] if uses_gpu else [])]


def _recorded_overlay(files: list[str]) -> str:
    return next((name for name in WITH if f"{name}.yaml" in files), "none")


def _uses_gpu(gpu: str | None, overlay: str, recorded: dict[str, str], host: Host) -> bool:
    if gpu not in (None, "", "0", "1", "auto"):
        raise StackError(f"GPU={gpu} is unknown. Give 0, 1 or auto.")
    if overlay in ("vllm", "spark"):
        if gpu == "0":
            raise StackError(f"WITH={overlay} needs a GPU: leave out GPU=0, or give WITH=none.")
        _require_runtime(host, f"WITH={overlay}")
        if overlay == "spark" and host.architecture not in ("aarch64", "arm64"):
            raise StackError(
                f"WITH=spark is for NVIDIA Spark (ARM64); this host is {host.architecture}. "
                "Give GPU=1 instead."
            )
        return True
    if gpu == "1":
        _require_runtime(host, "GPU=1")
        return True
    if gpu == "0":
        return False
    if gpu is None and recorded:
        return any("gpu.yaml" in file for file in recorded.get("COMPOSE_FILE", "").split(":"))
    if host.gpus and not host.has_nvidia_runtime:
        print(f"Not used: {host.gpus[0]}. {_TOOLKIT} Then: make up GPU=1")
    return host.has_nvidia_runtime


_TOOLKIT = (
    "Docker has no NVIDIA runtime: install the NVIDIA Container Toolkit and run "
    "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker."
)


def _require_runtime(host: Host, argument: str) -> None:
    if not host.has_nvidia_runtime:
        raise StackError(f"{argument} needs a GPU in containers. {_TOOLKIT}")


def _model(model: str, revision: str, overlay: str) -> dict[str, str]:
    if model.startswith("s3://"):
        if overlay in ("vllm", "server"):
            raise StackError(
                f"WITH={overlay} fetches no s3:// models: give a hub id or a directory."
            )
        return {"OCR_MODEL": model, "OCR_REVISION": revision}
    if model.startswith("/checkpoints/"):
        return {"OCR_MODEL": model, "OCR_REVISION": revision}
    if model.startswith(("/", "./", "../", "~")) or (Path(model) / "config.json").exists():
        directory = Path(model).expanduser().resolve()
        if not (directory / "config.json").is_file():
            raise StackError(
                f"MODEL={model}: {directory} has no config.json. Give a checkpoint's directory."
            )
        return {
            "OCR_MODEL": f"/checkpoints/{directory.name}",
            "OCR_REVISION": revision,
            "OCR_CHECKPOINTS": str(directory.parent),
        }
    if not _HUB_ID.fullmatch(model):
        raise StackError(
            f"MODEL={model} is no model. Give a hub id (owner/name), s3://bucket/prefix or a directory."
        )
    if model != PUBLISHED_MODEL and not revision:
        raise StackError(f"MODEL={model} needs REVISION=, the commit to read with.")
    return {"OCR_MODEL": model, "OCR_REVISION": revision}
