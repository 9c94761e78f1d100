"""The setting of a run: weights, device, versions, date."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
from pathlib import Path

import torch
import transformers

from airflow_deepseek_ocr import __version__
from airflow_deepseek_ocr.engines.in_process.engine import InProcessEngine
from benchmarks.full_size import ROOT, is_random
from benchmarks.prompts.results import Json

#: Bytes of a weights file that are read at once.
_READ = 1 << 20


def setting(engine: InProcessEngine, model: str, revision: str, directory: Path) -> Json:
    """Return what has to be known to run the same again.

    :param engine: the model.
    :param model: its name or directory, as the user wrote it.
    :param revision: its revision on the hub; empty for a directory.
    :param directory: its files.
    """
    return {
        "model": _name(model, directory),
        "revision": revision or f"sha256:{_digest(directory)}",
        "device": device_name(engine),
        "dtype": str(engine.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "max_output_length": engine.decoding.max_output_length,
        "versions": {
            "airflow-deepseek-ocr": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
    }


def device_name(engine: InProcessEngine) -> str:
    """Return the card's name, or the number of CPUs."""
    if engine.device.startswith("cuda"):
        return torch.cuda.get_device_name(engine.device)
    return f"CPU, {os.cpu_count()} cores ({platform.machine()})"


def _name(model: str, directory: Path) -> str:
    if is_random(directory):
        return "random weights of the published size"
    path = directory.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else model


def _digest(directory: Path) -> str:
    """Return the first 12 digits of a digest of the weights."""
    digest = hashlib.sha256()
    for file in sorted(directory.glob("*.safetensors")):
        with file.open("rb") as stream:
            while block := stream.read(_READ):
                digest.update(block)
    return digest.hexdigest()[:12]
