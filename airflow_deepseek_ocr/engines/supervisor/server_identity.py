"""What the servers have in common that serve a model directory on this host."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from airflow_deepseek_ocr.hardware.gpu import host_device


@dataclass(frozen=True)
class ServerIdentity:
    """A server for a model directory: most of a :class:`~.supervisor.ServerSpec`.

    :param directory: a complete model directory.
    :param model: what requests call it.
    :param revision: its revision; empty if it has none.
    :param device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    :param dtype: ``auto``, ``bfloat16``, ``float16`` or ``float32``.
    :param batch_size: most pages read at once; None leaves it to the server.
    :param idle_s: seconds without a request after which it leaves.
    """

    directory: Path
    model: str
    revision: str
    device: str
    dtype: str
    batch_size: int | None
    idle_s: int

    kind: ClassVar[str]

    @property
    def identity(self) -> tuple[object, ...]:
        """What must be the same for two tasks to share a server; a device as the host has it.

        :raises ConfigurationError: ``device`` if it is none that this process sees.
        """
        return (
            self.kind,
            self.directory.resolve(),
            self.model,
            self.revision,
            host_device(self.device),
            self.dtype,
        )

    @property
    def key(self) -> str:
        """A short name for its identity."""
        values = list(map(str, self.identity))
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The model and its revision, for people."""
        return f"{self.model} at {self.revision}" if self.revision else self.model
