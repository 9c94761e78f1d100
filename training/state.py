"""Where a run is kept: all of it for the same machine, little enough of it to be carried to another one.

``state.pt`` holds float32 weights, their averages and the optimizers' momenta. ``checkpoint/`` (averages in
float16) and ``progress.json`` are an eighth of that, and enough to go on elsewhere after a short warm-up of
new momenta.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from training.network import export
from training.optimizer import Optimizer

#: What is packed, relative to the directory of a run.
_PACKED = ("log.jsonl", "progress.json", "checkpoint")


@dataclass
class Progress:
    """How far a run is.

    :param step: steps done.
    :param first_step: where the optimizers began without momenta.
    :param trained_s: seconds of training.
    """

    step: int
    first_step: int
    trained_s: float = 0.0


class RunState:
    """The files of a run.

    :param directory: of the run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._whole = directory / "state.pt"
        self._progress = directory / "progress.json"
        self.checkpoint = directory / "checkpoint"
        self._fall = directory / "fall.json"

    def ask_to_fall(self, seconds: float) -> None:
        """Let the rates of the training that goes on here fall, so that it ends after so many seconds."""
        unfinished = self._fall.with_suffix(".tmp")
        unfinished.write_text(json.dumps(seconds))
        unfinished.replace(self._fall)

    def asked_to_fall(self) -> float | None:
        """The seconds of :meth:`ask_to_fall`, once; None if nobody has asked."""
        try:
            seconds = float(json.loads(self._fall.read_text()))
        except FileNotFoundError:
            return None
        self._fall.unlink()
        return seconds

    @property
    def is_whole(self) -> bool:
        """Whether the momenta are there."""
        return self._whole.exists()

    @property
    def is_carried(self) -> bool:
        """Whether weights and progress are there, but no momenta."""
        return not self.is_whole and self._progress.exists() and self.checkpoint.is_dir()

    def save(self, optimizer: Optimizer, progress: Progress) -> None:
        """Write everything; a crash in the middle leaves the earlier state."""
        self.directory.mkdir(parents=True, exist_ok=True)
        unfinished = self._whole.with_suffix(".tmp")
        torch.save({"optimizer": optimizer.state_dict(), **asdict(progress)}, unfinished)
        unfinished.replace(self._whole)
        # Whoever packs it meanwhile finds one checkpoint or the other.
        exported = self.checkpoint.with_suffix(".new")
        shutil.rmtree(exported, ignore_errors=True)
        export(optimizer.averages, exported)
        shutil.rmtree(self.checkpoint, ignore_errors=True)
        exported.rename(self.checkpoint)
        self._progress.write_text(json.dumps(asdict(progress)) + "\n")

    def load(self, optimizer: Optimizer, device: str) -> Progress:
        """Load the whole state into an optimizer and its network."""
        state: dict[str, Any] = torch.load(self._whole, map_location=device, weights_only=True)
        optimizer.load_state_dict(state.pop("optimizer"))
        return Progress(**state)

    def carried(self) -> Progress:
        """The progress of a run whose momenta stayed elsewhere: the optimizers begin anew."""
        progress = Progress(**json.loads(self._progress.read_text()))
        progress.first_step = progress.step
        return progress


def pack(directory: Path, out: Path, part_size: int) -> list[Path]:
    """Write what another machine needs to go on with a run, in parts.

    :param directory: of the run.
    :param out: directory of the parts, ``run.00`` and so on; earlier ones in it are replaced.
    :param part_size: of a part, in bytes.
    :raises FileNotFoundError: if the run has no checkpoint yet.
    """
    if not RunState(directory).checkpoint.is_dir():
        raise FileNotFoundError(f"{directory} holds no checkpoint: train first")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in _PACKED:
            if (directory / name).exists():
                archive.add(directory / name, name)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("run.[0-9][0-9]"):
        old.unlink()
    data, parts = stream.getvalue(), []
    for number, start in enumerate(range(0, len(data), part_size)):
        parts.append(out / f"run.{number:02d}")
        parts[-1].write_bytes(data[start : start + part_size])
    return parts


def unpack(parts: Path, directory: Path) -> None:
    """Put a packed run into a directory.

    :param parts: directory of ``run.00`` and so on.
    :param directory: of the run; its own momenta, if any, are removed: they belong to other weights.
    :raises FileNotFoundError: if there are no parts.
    """
    files = sorted(parts.glob("run.[0-9][0-9]"))
    if not files:
        raise FileNotFoundError(f"{parts} holds no run.00: pack a run first")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "state.pt").unlink(missing_ok=True)
    with tarfile.open(fileobj=io.BytesIO(b"".join(map(Path.read_bytes, files)))) as archive:
        for member in archive.getmembers():
            if PurePosixPath(member.name).parts[0] not in _PACKED:
                raise ValueError(f"{member.name} belongs to no packed run")
        archive.extractall(directory, filter="data")
