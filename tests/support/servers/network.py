"""A private network of network namespaces: hosts that reach each other, and nothing else."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.servers.process import ServerUnavailable, find_program

_PREFIX = "ocr-test-"
_NAMESPACES = Path("/run/netns")
#: Address of the server's host in the namespaces; it does not exist outside of them.
ADDRESS = "10.77.0.1"


@dataclass(frozen=True)
class PrivateNetwork:
    """The namespaces of a server and of its callers, each with a link of its own to the server's."""

    server: str
    callers: tuple[str, ...]
    _ip: str

    def command(self, namespace: str, argv: Sequence[object]) -> list[str]:
        """Return the command that runs in that namespace."""
        return [self._ip, "netns", "exec", namespace, *map(str, argv)]


@contextmanager
def private_network(callers: int) -> Iterator[PrivateNetwork]:
    """Create the namespaces, and remove them with all that is in them.

    :raises ServerUnavailable: this process may not create them.
    """
    if os.geteuid() != 0:
        raise ServerUnavailable("network namespaces need root")
    ip = find_program("ip", "iproute2")
    _remove_leftovers(ip)
    name = f"{_PREFIX}{os.getpid()}"
    network = PrivateNetwork(f"{name}-server", tuple(f"{name}-{n}" for n in range(callers)), ip)
    with ExitStack() as stack:
        for namespace in (network.server, *network.callers):
            _run(ip, "netns", "add", namespace)
            stack.callback(_remove, ip, namespace)
            _run(ip, "-n", namespace, "link", "set", "lo", "up")
        _run(ip, "-n", network.server, "address", "add", f"{ADDRESS}/32", "dev", "lo")
        for number, caller in enumerate(network.callers):
            _connect(ip, network.server, caller, number)
        yield network


def _connect(ip: str, server: str, caller: str, number: int) -> None:
    subnet = f"10.77.{number + 1}"
    _run(
        ip, "link", "add", f"caller{number}", "netns", server,
        "type", "veth", "peer", "name", "eth0", "netns", caller,
    )  # fmt: skip
    for namespace, device, host in ((server, f"caller{number}", 1), (caller, "eth0", 2)):
        _run(ip, "-n", namespace, "address", "add", f"{subnet}.{host}/24", "dev", device)
        _run(ip, "-n", namespace, "link", "set", device, "up")
    _run(ip, "-n", caller, "route", "add", "default", "via", f"{subnet}.1")


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise ServerUnavailable(f"{' '.join(argv)}: {done.stderr.strip()}")


def _remove(ip: str, namespace: str) -> None:
    subprocess.run([ip, "netns", "delete", namespace], check=False, timeout=20)


def _remove_leftovers(ip: str) -> None:
    """Remove the namespaces of tests that were killed."""
    for path in _NAMESPACES.glob(f"{_PREFIX}*"):
        with contextlib.suppress(ValueError):
            if not psutil.pid_exists(int(path.name.removeprefix(_PREFIX).partition("-")[0])):
                _remove(ip, path.name)
