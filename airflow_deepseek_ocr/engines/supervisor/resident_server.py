"""The resident server: this package's own server, one for each model and device of a host."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass

from airflow_deepseek_ocr.engines.protocol.endpoint import SOCKET_URL
from airflow_deepseek_ocr.engines.supervisor.server_identity import ServerIdentity
from airflow_deepseek_ocr.engines.supervisor.server_spec import LaunchCommand, ServerPaths
from airflow_deepseek_ocr.exceptions import MissingExtraError

#: Modules that the server imports and the light installation lacks.
_REQUIRED_MODULES = ("torch", "transformers", "fastapi", "uvicorn", "prometheus_client")


@dataclass(frozen=True, kw_only=True)
class ResidentServerSpec(ServerIdentity):
    """A resident server; without a batch size, the free memory of the device decides.

    Tasks share a server that runs already even if they ask for another batch size, idle time or Python.

    :param python: path of the Python that runs the server; empty for the Python of this process.
    """

    python: str = ""

    kind = "resident"

    @property
    def identity(self) -> tuple[object, ...]:
        """See :class:`ServerIdentity`; ``auto`` and the dtype that the device uses by default are equal."""
        *common, device, dtype = super().identity
        if dtype == "auto":
            dtype = "float32" if device == "cpu" else "bfloat16"
        return (*common, device, dtype)

    @property
    def description(self) -> str:
        """See :class:`~.server_spec.ServerSpec`."""
        return f"{self.name} on {self.device} ({self.dtype})"

    def launch_command(self, paths: ServerPaths) -> LaunchCommand:
        """Return the command that starts the server; see :class:`~.server_spec.ServerSpec`.

        :param paths: files that the supervisor provides.
        :raises MissingExtraError: ``missing_extra`` if the Python of this process is to run the server and
            lacks a module that it needs.
        """
        if not self.python:
            for name in _REQUIRED_MODULES:
                if importlib.util.find_spec(name) is None:
                    raise MissingExtraError(name, "transformers")
        arguments = [
            self.python or sys.executable,
            # Files in the working directory must not be imported in place of installed modules.
            "-P",
            "-m",
            "airflow_deepseek_ocr.cli",
            "serve",
            str(self.model_directory.resolve()),
            *("--name", self.model),
            *(("--revision", self.revision) if self.revision else ()),
            *("--device", self.device),
            *("--dtype", self.dtype),
            *(("--batch-size", str(self.batch_size)) if self.batch_size else ()),
            *("--socket", str(paths.socket)),
            *("--api-key-file", str(paths.api_key_file)),
            *("--idle-seconds", str(self.idle_s)),
            *("--record", str(paths.record_file)),
        ]
        # These variables belong to this process's Python; another one has its own modules.
        path = {"PYTHONPATH": None, "PYTHONHOME": None} if self.python else {}
        return LaunchCommand(
            arguments=arguments,
            url=SOCKET_URL,
            socket=paths.socket,
            environment={"PYTHONUNBUFFERED": "1", **path},
        )
