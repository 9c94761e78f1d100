"""Docker's command line: the client and daemon of tools/docker-environment."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.conftest import ROOT

#: Longest build in seconds: torch is downloaded on a slow network.
BUILD_TIMEOUT_S = 1800
#: Longest command in seconds; a container that reads a page on two busy cores needs a few minutes.
COMMAND_TIMEOUT_S = 600
#: What the images must be able to live with.
RESTRICTED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges:true",
    "--tmpfs=/tmp",
)


class DockerError(RuntimeError):
    """A command of Docker that failed, with the end of its output."""


@dataclass(frozen=True)
class Container:
    """A running container.

    :param docker: the client that started it.
    :param name: its name, also on its network.
    """

    docker: Docker
    name: str

    @property
    def state(self) -> dict[str, Any]:
        """State as reported by ``docker inspect``."""
        found: dict[str, Any] = self.docker.inspect(self.name)["State"]
        return found

    @property
    def healthy(self) -> bool:
        """Whether the image's health check succeeds; fails with the log if the container has ended."""
        state = self.state
        if not state["Running"]:
            raise DockerError(f"{self.name} exited with {state['ExitCode']}: {self.log()[-2000:]}")
        return state["Health"]["Status"] == "healthy"

    def log(self) -> str:
        """Return what the container has written."""
        found = self.docker.start("logs", self.name)
        return found.stdout + found.stderr


class Docker:
    """The client with BuildKit, for the daemon that answers."""

    @cached_property
    def environment(self) -> dict[str, str]:
        """The variables with which the client finds the daemon."""
        done = subprocess.run(
            [ROOT / "tools" / "docker-environment"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DockerError(done.stderr)
        found = dict(line.split("=", 1) for line in done.stdout.splitlines())
        return os.environ | found | {"DOCKER_BUILDKIT": "1"}

    def start(
        self, *arguments: str, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its exit code may be any."""
        return subprocess.run(
            [self.environment["DOCKER"], *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def __call__(self, *arguments: str, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """Return a command's standard output.

        :raises DockerError: the command failed.
        """
        done = self.start(*arguments, timeout_s=timeout_s)
        if done.returncode:
            raise DockerError(
                f"docker {arguments[0]} exited with {done.returncode}:\n"
                f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        return done.stdout

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what ``docker inspect`` reports of an image or a container."""
        found: list[dict[str, Any]] = json.loads(self("inspect", name))
        return found[0]

    def build(self, target: str, tag: str, arguments: Sequence[str] = ()) -> None:
        """Build a target of ``docker/Dockerfile``; the daemon may have no other network than the host's."""
        self(
            *("build", "--network=host", "--file=docker/Dockerfile", f"--target={target}"),
            *(f"--build-arg={argument}" for argument in arguments),
            *(f"--tag={tag}", "."),
            timeout_s=BUILD_TIMEOUT_S,
        )

    def shell(self, image: str, script: str, *options: str) -> str:
        """Return the output of a bash script in a restricted container without network."""
        return self(
            *("run", "--rm", "--network=none", *RESTRICTED, "--entrypoint=bash", *options),
            *(image, "-o", "errexit", "-o", "pipefail", "-c", script),
        )

    @contextmanager
    def container(self, image: str, *arguments: str, options: Sequence[str]) -> Iterator[Container]:
        """Run a container with restrictions in the background, and remove it with its anonymous volumes."""
        name = f"deepseek-ocr-test-{secrets.token_hex(4)}"
        self("run", "--detach", f"--name={name}", *RESTRICTED, *options, image, *arguments)
        try:
            yield Container(self, name)
        finally:
            self("rm", "--force", "--volumes", name)

    @contextmanager
    def network(self) -> Iterator[str]:
        """Make a network that reaches no other, and remove it."""
        name = f"deepseek-ocr-test-{secrets.token_hex(4)}"
        self("network", "create", "--internal", name)
        try:
            yield name
        finally:
            self("network", "rm", name)

    @contextmanager
    def volume(self) -> Iterator[str]:
        """Make a volume, and remove it."""
        name = f"deepseek-ocr-test-{secrets.token_hex(4)}"
        self("volume", "create", name)
        try:
            yield name
        finally:
            self("volume", "rm", "--force", name)
