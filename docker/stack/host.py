"""What this host has: Docker, Compose, GPUs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Any

from stack.errors import StackError

#: The first version with `!override` and `!reset` as the files use them.
COMPOSE_VERSION = (2, 24, 4)
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Host:
    """A host on which Docker answers.

    :param compose: command line of Compose.
    :param architecture: of the daemon: ``x86_64``, ``aarch64``.
    :param has_nvidia_runtime: whether containers can be given GPUs.
    :param gpus: names of GPUs that ``nvidia-smi`` lists.
    """

    compose: list[str]
    architecture: str
    has_nvidia_runtime: bool
    gpus: list[str] = field(default_factory=list)

    @property
    def is_spark(self) -> bool:
        """Whether the GPU is that of NVIDIA Spark, whose memory it shares with the processors."""
        return any("GB10" in name for name in self.gpus)


def find_host() -> Host:
    """Return what this host has.

    :raises StackError: Docker or Compose is missing, too old, or the daemon does not answer.
    """
    if shutil.which("docker") is None and shutil.which("docker-compose") is None:
        raise StackError(
            "Docker is missing. Install Docker Engine with its Compose plugin: https://docs.docker.com/engine/install"
        )
    compose = find_compose()
    information = _daemon()
    return Host(
        compose=compose,
        architecture=str(information.get("Architecture", "")),
        has_nvidia_runtime=_has_nvidia_runtime(information),
        gpus=_gpus(),
    )


def find_compose() -> list[str]:
    """Return the command line of Compose, of the plugin or the separate program.

    :raises StackError: there is none, or it is too old.
    """
    too_old = ""
    for command in (["docker", "compose"], ["docker-compose"]):
        result = _run([*command, "version", "--short"])
        match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", result.stdout.strip()) if result else None
        if match and result and result.returncode == 0:
            if tuple(map(int, match.groups())) >= COMPOSE_VERSION:
                return command
            too_old = f"{' '.join(command)} is {match[0]}"
    needed = ".".join(map(str, COMPOSE_VERSION))
    raise StackError(
        f"{too_old or 'Docker Compose is missing'}; version {needed} or newer is needed. Install the plugin: "
        "https://docs.docker.com/compose/install/linux"
    )


def _daemon() -> dict[str, Any]:
    result = _run(["docker", "info", "--format", "{{json .}}"])
    try:
        information: dict[str, Any] = json.loads(result.stdout) if result else {}
    except ValueError:
        information = {}
    # Without a daemon, docker prints its own version only, and why as an error.
    if not information.get("ServerVersion"):
        reasons = information.get("ServerErrors") or [
            result.stderr.strip() if result else "no answer"
        ]
        raise StackError(
            f"The Docker daemon does not answer: {reasons[0]}. Start it (sudo systemctl start docker), and "
            "let your user use it: https://docs.docker.com/engine/install/linux-postinstall"
        )
    return information


def _has_nvidia_runtime(information: dict[str, Any]) -> bool:
    devices = information.get("DiscoveredDevices") or []
    return "nvidia" in (information.get("Runtimes") or {}) or any(
        str(device.get("ID", "")).startswith("nvidia.com/gpu") for device in devices
    )


def _gpus() -> list[str]:
    result = _run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])
    return result.stdout.splitlines() if result and result.returncode == 0 else []


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"{' '.join(command)} did not answer within {_TIMEOUT_S:.0f} s."
        ) from error
