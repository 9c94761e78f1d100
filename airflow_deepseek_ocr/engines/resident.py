"""The resident server: this package's own, one for each model and device of a host."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from airflow_deepseek_ocr.engines.keeper import Launch, Place
from airflow_deepseek_ocr.errors import MissingExtraError

#: The host part of the address of a server behind a Unix socket; nobody looks it up.
_SOCKET_URL = "http://resident"
#: What the server needs beyond the light installation, by import name.
_NEEDED = ("torch", "transformers", "fastapi", "uvicorn", "prometheus_client")


@dataclass(frozen=True)
class ResidentPlan:
    """A resident server; see :class:`airflow_deepseek_ocr.engines.keeper.ServerPlan`.

    Who asks with another number of pages, idle time or Python shares the server that is there.

    :param folder: a complete model folder.
    :param model: what requests call it.
    :param revision: its revision; empty if it has none.
    :param device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    :param dtype: ``auto``, ``bfloat16``, ``float16`` or ``float32``.
    :param batch_size: most pages read at once; None lets the free memory decide.
    :param idle_s: seconds without a request after which it leaves.
    :param python: the Python it runs under; that of this process if empty.
    """

    folder: Path
    model: str
    revision: str
    device: str
    dtype: str
    batch_size: int | None
    idle_s: int
    python: str = ""

    kind = "resident"

    @property
    def key(self) -> str:
        """See :class:`~airflow_deepseek_ocr.engines.keeper.ServerPlan`."""
        return server_key(
            self.kind, self.folder.resolve(), self.model, self.revision, self.device, self.dtype
        )

    @property
    def description(self) -> str:
        """See :class:`~airflow_deepseek_ocr.engines.keeper.ServerPlan`."""
        revision = f" at {self.revision}" if self.revision else ""
        return f"{self.model}{revision} on {self.device} ({self.dtype})"

    def launch(self, place: Place) -> Launch:
        """See :class:`~airflow_deepseek_ocr.engines.keeper.ServerPlan`.

        :raises MissingExtraError: if this process's Python is to run it and lacks what it needs.
        """
        if not self.python:
            for name in _NEEDED:
                if importlib.util.find_spec(name) is None:
                    raise MissingExtraError(name, "transformers")
        command = [
            self.python or sys.executable,
            "-m",
            "airflow_deepseek_ocr.cli",
            "serve",
            str(self.folder.resolve()),
            *("--name", self.model),
            *(("--revision", self.revision) if self.revision else ()),
            *("--device", self.device),
            *("--dtype", self.dtype),
            *(("--batch-size", str(self.batch_size)) if self.batch_size else ()),
            *("--socket", str(place.socket)),
            *("--secret-file", str(place.secret_file)),
            *("--idle-seconds", str(self.idle_s)),
            *("--record", str(place.folder / f"{place.key}.json")),
        ]
        # Another Python has another path.
        path = {"PYTHONPATH": None, "PYTHONHOME": None} if self.python else {}
        return Launch(command, _SOCKET_URL, place.socket, {"PYTHONUNBUFFERED": "1", **path})


def server_key(*identity: object) -> str:
    """A short name for a server with that identity.

    GPUs that a process does not see it cannot share.
    """
    values = [*map(str, identity), os.environ.get("CUDA_VISIBLE_DEVICES")]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
