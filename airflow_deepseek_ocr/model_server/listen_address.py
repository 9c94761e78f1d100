"""The address that a server listens on: a Unix socket, the loopback, or an address that other hosts reach."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from airflow_deepseek_ocr.connection.server_address import UNIX_SCHEME
from airflow_deepseek_ocr.engines.protocol.endpoint import LOOPBACK
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError

_BACKLOG = 1024
#: Seconds in which a running server accepts a connection to its socket: the kernel answers at once.
_PROBE_S = 1.0
#: Mode of a socket that the server's user alone may connect to.
PRIVATE_SOCKET = 0o600
_REMEDIES = {
    errno.EADDRINUSE: "Stop the program that listens there, or choose another address.",
    errno.EADDRNOTAVAIL: "No network interface of this host has that address; ip address lists them.",
    errno.EACCES: "This user may not use it; choose a port from 1024, or another directory for a socket.",
    errno.ENOENT: "Create the socket's directory.",
}


@dataclass(frozen=True, kw_only=True)
class ListenAddress:
    """Address that a server listens on.

    :param socket_path: path of a Unix socket; None for TCP.
    :param socket_mode: permissions of that socket.
    :param host: IP address, or a name that this host resolves.
    :param port: TCP port; 0 for a free one.
    """

    socket_path: Path | None = None
    socket_mode: int = PRIVATE_SOCKET
    host: str = LOOPBACK
    port: int = 0

    def resolve(self) -> ListenAddress:
        """Return the address with its host name replaced by its current IP address.

        :raises ConfigurationError: ``server_address`` if the name has no address.
        """
        if self.socket_path is not None:
            return self
        return ListenAddress(host=str(self._sockaddr()[1][0]), port=self.port)

    @property
    def loopback(self) -> bool:
        """Whether programs of this host alone can connect; a host name must be resolved before."""
        if self.socket_path is not None:
            return True
        return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback

    def open(self) -> socket.socket:
        """Return the listening socket.

        :raises UnavailableError: ``server_address`` if the address cannot be used.
        :raises ConfigurationError: ``server_address`` if the host name has no address.
        """
        try:
            server = self._open_tcp() if self.socket_path is None else self._open_unix()
            server.listen(_BACKLOG)
            return server
        except OSError as error:
            remedy = _REMEDIES.get(error.errno or 0, "Choose another address.")
            raise UnavailableError(
                ErrorCode.SERVER_ADDRESS,
                f"The server cannot listen on {self}: {error.strerror or error}. {remedy}",
            ) from error

    def _open_tcp(self) -> socket.socket:
        family, address = self._sockaddr()
        server = socket.socket(family)
        try:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # :: means all addresses, those of version 4 too.
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            server.bind(address)
        except OSError:
            server.close()
            raise
        return server

    def _open_unix(self) -> socket.socket:
        path = str(self.socket_path)
        server = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o777 & ~self.socket_mode)
        try:
            try:
                server.bind(path)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not _is_abandoned(path):
                    raise
                # Of a server that was killed, such as with its container: a new one must be able to start.
                Path(path).unlink()
                server.bind(path)
        except OSError:
            server.close()
            raise
        finally:
            os.umask(mask)
        return server

    def _sockaddr(self) -> tuple[int, tuple[object, ...]]:
        host = self.host.removeprefix("[").removesuffix("]")
        try:
            found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(
                ErrorCode.SERVER_ADDRESS,
                f"The host {self.host!r} has no address ({getattr(error, 'strerror', None) or error}). Give "
                "--host an IP address of this host.",
            ) from error
        family, _, _, _, address = found[0]
        return family, address

    def __str__(self) -> str:
        if self.socket_path is not None:
            return f"{UNIX_SCHEME}{self.socket_path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _is_abandoned(path: str) -> bool:
    """Return whether a socket's file exists, and no server listens there."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PROBE_S)
            probe.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        pass
    return False
