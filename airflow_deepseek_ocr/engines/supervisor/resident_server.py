"""The resident server: this package's own, one for each model and device of a host."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass

from airflow_deepseek_ocr.engines.supervisor.server_identity import ServerIdentity
from airflow_deepseek_ocr.engines.supervisor.supervisor import Launch, Place
from airflow_deepseek_ocr.exceptions import MissingExtraError

#: The host part of the address of a server behind a Unix socket; nobody looks it up.
_SOCKET_URL = "http://resident"
#: What the server needs beyond the light installation, by import name.
_NEEDED = ("torch", "transformers", "fastapi", "uvicorn", "prometheus_client")


@dataclass(frozen=True)
class ResidentServerSpec(ServerIdentity):
    """A resident server; where no number of pages is given, the free memory decides.

    Who asks with another number of pages, idle time or Python shares the server that is there.

    :param python: the Python it runs under; that of this process if empty.
    """

    python: str = ""

    kind = "resident"

    @property
    def identity(self) -> tuple[object, ...]:
        """See :class:`ServerIdentity`; a type that is written out is the same as the device's usual one."""
        *common, device, dtype = super().identity
        if dtype == "auto":
            dtype = "float32" if device == "cpu" else "bfloat16"
        return (*common, device, dtype)

    @property
    def description(self) -> str:
        """See :class:`~airflow_deepseek_ocr.engines.supervisor.supervisor.ServerSpec`."""
        return f"{self.name} on {self.device} ({self.dtype})"

    def launch(self, place: Place) -> Launch:
        """See :class:`~airflow_deepseek_ocr.engines.supervisor.supervisor.ServerSpec`.

        :raises MissingExtraError: if this process's Python is to run it and lacks what it needs.
        """
        if not self.python:
            for name in _NEEDED:
                if importlib.util.find_spec(name) is None:
                    raise MissingExtraError(name, "transformers")
        command = [
            self.python or sys.executable,
            # Nothing is imported from the directory it is started in.
            "-P",
            "-m",
            "airflow_deepseek_ocr.cli.main",
            "serve",
            str(self.directory.resolve()),
            *("--name", self.model),
            *(("--revision", self.revision) if self.revision else ()),
            *("--device", self.device),
            *("--dtype", self.dtype),
            *(("--batch-size", str(self.batch_size)) if self.batch_size else ()),
            *("--socket", str(place.socket)),
            *("--api-key-file", str(place.api_key_file)),
            *("--idle-seconds", str(self.idle_s)),
            *("--record", str(place.directory / f"{place.key}.json")),
        ]
        # Another Python has another path.
        path = {"PYTHONPATH": None, "PYTHONHOME": None} if self.python else {}
        return Launch(command, _SOCKET_URL, place.socket, {"PYTHONUNBUFFERED": "1", **path})
