"""Address and credentials of a server that runs the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from airflow_deepseek_ocr.connection.server_address import UNIX_SCHEME
from airflow_deepseek_ocr.engines.protocol.client_tls import client_context

#: Address that servers of this host listen on.
LOOPBACK = "127.0.0.1"
_LOOPBACK_NAMES = frozenset({"localhost", LOOPBACK, "::1"})
#: URL of a server behind a Unix socket; HTTP needs a host name, which is never resolved.
SOCKET_URL = "http://localhost"
#: Seconds for which an idle connection is kept: fewer than servers keep it (5 in uvicorn, and so in vLLM).
#: A page sent on a connection that the server is closing fails as if the server had crashed.
KEEPALIVE_S = 2.0


@dataclass(frozen=True)
class Endpoint:
    """Address of a server, and the credentials that it expects.

    :param url: without ``/v1``, such as ``https://ocr.example.com:8443``.
    :param api_key: sent as bearer token; None if the server requires none.
    :param socket_path: Unix socket that the server listens on; None for TCP.
    :param login: user name. If given, login and API key are sent as basic authentication.
    :param ca_certificates: PEM file with the authorities that the server's certificate is verified against;
        None for the system's.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    socket_path: Path | None = None
    login: str = ""
    ca_certificates: Path | None = None

    @property
    def address(self) -> str:
        """The address for messages: the URL, or the path of the socket as ``unix:///path``."""
        return f"{UNIX_SCHEME}{self.socket_path}" if self.socket_path else self.url

    @property
    def tls(self) -> bool:
        """Whether requests are encrypted and the server's certificate is verified."""
        return self.socket_path is None and self.url.startswith("https:")

    @property
    def local(self) -> bool:
        """Whether the server runs on this host, so that sending bytes costs no network time."""
        return self.socket_path is not None or urlsplit(self.url).hostname in _LOOPBACK_NAMES

    def client(self, timeout: httpx.Timeout) -> httpx.Client:
        """Return a client for a few requests.

        :param timeout: of each request.
        :raises ConfigurationError: ``connection`` if the CA certificates cannot be used.
        """
        uds = str(self.socket_path) if self.socket_path else None
        transport = httpx.HTTPTransport(uds=uds, verify=False) if uds else None
        return httpx.Client(transport=transport, **self._options(timeout))

    def async_client(
        self, timeout: httpx.Timeout, connections: int, keepalive_s: float = KEEPALIVE_S
    ) -> httpx.AsyncClient:
        """Return a client for many requests.

        :param timeout: of each request.
        :param connections: most connections, open or idle.
        :param keepalive_s: seconds for which an idle connection is kept.
        :raises ConfigurationError: ``connection`` if the CA certificates cannot be used.
        """
        limits = httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=keepalive_s,
        )
        uds = str(self.socket_path) if self.socket_path else None
        transport = httpx.AsyncHTTPTransport(uds=uds, limits=limits, verify=False) if uds else None
        return httpx.AsyncClient(transport=transport, limits=limits, **self._options(timeout))

    def redact(self, text: str) -> str:
        """Return the text with the API key replaced by ``***``."""
        return text.replace(self.api_key, "***") if self.api_key else text

    def _options(self, timeout: httpx.Timeout) -> dict[str, Any]:
        bearer = self.api_key and not self.login
        headers = {"Authorization": f"Bearer {self.api_key}"} if bearer else {}
        return {
            # Without TLS there is nothing to verify, and loading the certificates takes time.
            "verify": client_context(self.ca_certificates) if self.tls else False,
            "base_url": self.url,
            "headers": headers,
            "auth": httpx.BasicAuth(self.login, self.api_key or "") if self.login else None,
            "timeout": timeout,
            # A proxy from the environment cannot reach this host's loopback.
            "trust_env": not self.local,
        }
