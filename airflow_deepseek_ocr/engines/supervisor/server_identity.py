"""Common part of the server specifications: the model, the device, and which tasks can share a server."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from airflow_deepseek_ocr.hardware.gpu import host_device

#: Hexadecimal digits of a key: 64 bits, too many for two servers of a host to collide.
_KEY_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class ServerIdentity:
    """A server for a model directory: most of a :class:`~.server_spec.ServerSpec`.

    :param model_directory: complete directory of the model.
    :param model: model name that requests carry.
    :param revision: revision of the model; empty if it has none.
    :param device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    :param dtype: ``auto``, ``bfloat16``, ``float16`` or ``float32``.
    :param batch_size: largest number of pages processed at once; None leaves it to the server.
    :param idle_s: seconds without a request after which the server exits.
    """

    model_directory: Path
    model: str
    revision: str = ""
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None
    idle_s: int

    kind: ClassVar[str]

    @property
    def identity(self) -> tuple[object, ...]:
        """Values that must be equal for two tasks to share a server; the device is that of the host.

        :raises ConfigurationError: ``device`` if this process does not see the device.
        """
        return (
            self.kind,
            self.model_directory.resolve(),
            self.model,
            self.revision,
            host_device(self.device),
            self.dtype,
        )

    @property
    def key(self) -> str:
        """Short hash of :attr:`identity`; names the server in the registry.

        :raises ConfigurationError: ``device``; see :attr:`identity`.
        """
        values = list(map(str, self.identity))
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:_KEY_DIGITS]

    @property
    def name(self) -> str:
        """The model with its revision, for logs and messages."""
        return f"{self.model} at {self.revision}" if self.revision else self.model
