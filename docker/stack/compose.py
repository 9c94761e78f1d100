"""Calls of Compose for this deployment."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stack.environment import SECRETS
from stack.errors import StackError

#: Listing containers takes a second; Docker that takes longer than this hangs.
_LIST_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Container:
    """State of a container.

    :param service: its service in ``compose.yaml``.
    :param state: ``running``, ``exited``, ``created``, ``restarting``.
    :param health: ``healthy``, ``unhealthy``, ``starting``; empty without a health check.
    :param exit_code: of the process, after it ended.
    """

    service: str
    state: str
    health: str
    exit_code: int

    @property
    def is_ready(self) -> bool:
        """Whether it is healthy, or has done its work."""
        if self.state == "exited":
            return self.exit_code == 0
        return self.state == "running" and self.health in ("", "healthy")

    @property
    def has_failed(self) -> bool:
        """Whether waiting longer is useless."""
        return self.state in ("dead", "exited") and self.exit_code != 0

    def __str__(self) -> str:
        ended = f" with status {self.exit_code}" if self.state == "exited" else ""
        return f"{self.service} ({self.health or self.state}{ended})"


@dataclass(frozen=True)
class Compose:
    """Compose in the directory of ``compose.yaml``.

    :param command: the program: ``docker compose`` or ``docker-compose``.
    :param directory: where ``compose.yaml`` and ``.env`` are.
    """

    command: list[str]
    directory: Path

    def run(
        self, *arguments: str, timeout_s: float | None = None, stdin: BinaryIO | None = None
    ) -> int:
        """Run a command whose output the user sees, and return its exit status.

        :param arguments: as after ``docker compose``.
        :param timeout_s: seconds after which it is ended.
        :param stdin: its input.
        :raises StackError: it took too long.
        """
        try:
            return subprocess.run(
                [*self.command, *arguments],
                cwd=self.directory,
                env=self._environment(),
                stdin=stdin,
                timeout=timeout_s,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise StackError(
                f"compose {arguments[0]} did not end within {timeout_s:.0f} s."
            ) from error

    def containers(self) -> list[Container]:
        """Return the containers of this deployment, one-shot ones that have ended among them.

        :raises StackError: Compose fails.
        """
        result = subprocess.run(
            [*self.command, "ps", "--all", "--format", "json"],
            cwd=self.directory,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=_LIST_TIMEOUT_S,
            check=False,
        )
        if result.returncode:
            raise StackError(f"Compose cannot list the containers: {result.stderr.strip()}")
        return [
            Container(
                service=row["Service"],
                state=row["State"],
                health=row.get("Health", ""),
                exit_code=int(row.get("ExitCode", 0)),
            )
            for row in parse_rows(result.stdout)
        ]

    def _environment(self) -> dict[str, str]:
        # A variable of the shell would replace the secret in .env, and with it what is in the volumes.
        return {name: value for name, value in os.environ.items() if name not in SECRETS}


def parse_rows(output: str) -> list[dict[str, Any]]:
    """Return the rows of ``ps --format json``: one object a line, or a list in older versions."""
    output = output.strip()
    if output.startswith("["):
        rows: list[dict[str, Any]] = json.loads(output)
        return rows
    return [json.loads(line) for line in output.splitlines() if line]
