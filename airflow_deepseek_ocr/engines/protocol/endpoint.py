"""Where a server is and what it wants to hear."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

#: Seconds that a connection is kept without a request: fewer than servers keep it (uvicorn's, vLLM's too: 5).
#: A page that is sent when the server is about to close it seems to break the server.
_KEPT_S = 2.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Endpoint:
    """A server's address.

    :param url: without ``/v1``, such as ``https://ocr.example.com:8443``.
    :param secret: sent as a bearer token, if there is one.
    :param login: user name; with one, it and the secret are sent as basic authentication.
    :param socket_path: Unix socket that the server listens on, if it does.
    """

    url: str
    secret: str | None = field(default=None, repr=False)
    socket_path: Path | None = None
    login: str = ""

    @property
    def local(self) -> bool:
        """Whether the server is on this host, so that bytes cost nothing on the way."""
        return self.socket_path is not None or urlsplit(self.url).hostname in _LOOPBACK

    def client(self, timeout: httpx.Timeout) -> httpx.Client:
        """A client for a few requests."""
        uds = str(self.socket_path) if self.socket_path else None
        transport = httpx.HTTPTransport(uds=uds, verify=False) if uds else None
        return httpx.Client(transport=transport, **self._options(timeout))

    def async_client(self, timeout: httpx.Timeout, connections: int) -> httpx.AsyncClient:
        """A client for many requests.

        :param connections: kept open, and most that are open at once.
        """
        limits = httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=_KEPT_S,
        )
        uds = str(self.socket_path) if self.socket_path else None
        transport = httpx.AsyncHTTPTransport(uds=uds, limits=limits, verify=False) if uds else None
        return httpx.AsyncClient(transport=transport, limits=limits, **self._options(timeout))

    def redact(self, text: str) -> str:
        """The text without the secret, should it hold it."""
        return text.replace(self.secret, "***") if self.secret else text

    def _options(self, timeout: httpx.Timeout) -> dict[str, Any]:
        bearer = self.secret and not self.login
        headers = {"Authorization": f"Bearer {self.secret}"} if bearer else {}
        return {
            # Without TLS there is nothing to verify, and reading the certificates takes 0.3 s.
            "verify": self.url.startswith("https:"),
            "base_url": self.url,
            "headers": headers,
            "auth": httpx.BasicAuth(self.login, self.secret or "") if self.login else None,
            "timeout": timeout,
            # A proxy from the environment cannot reach this host's loopback.
            "trust_env": not self.local,
        }
