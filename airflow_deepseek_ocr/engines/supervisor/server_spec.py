"""Interface between the supervisor and the kinds of servers it can start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class ServerPaths:
    """Files that the supervisor provides for a server.

    :param socket: path at which the server may create its Unix socket.
    :param api_key_file: file with the API key that requests must carry; it exists when the server starts.
    :param record_file: the server's record in the registry; the server notes there why it failed.
    :param log_file: file that receives the server's output.
    """

    socket: Path
    api_key_file: Path
    record_file: Path
    log_file: Path


@dataclass(frozen=True, kw_only=True)
class LaunchCommand:
    """Command that starts a server.

    :param arguments: program and arguments.
    :param url: base URL of the server's API, without ``/v1``.
    :param socket: path of the Unix socket the server listens on; None for a TCP port.
    :param environment: variables to set; None removes a variable.
    """

    arguments: Sequence[str]
    url: str
    socket: Path | None
    environment: Mapping[str, str | None]


class ServerSpec(Protocol):
    """A server that can be started on this host."""

    @property
    def kind(self) -> str:
        """``resident`` or ``vllm``."""
        ...

    @property
    def key(self) -> str:
        """Name in the registry: equal for two specifications if their tasks can share a server."""
        ...

    @property
    def description(self) -> str:
        """Model and device, for logs and messages."""
        ...

    def launch_command(self, paths: ServerPaths) -> LaunchCommand:
        """Return the command that starts the server.

        :param paths: files that the supervisor provides.
        """
        ...
