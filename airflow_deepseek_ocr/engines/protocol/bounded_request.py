"""Requests whose responses are limited in bytes and in the time that they take as a whole."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

#: Compressed responses could be larger than they appear, and :class:`_Deadline` knows new connections only.
_HEADERS = {"Accept-Encoding": "identity", "Connection": "close"}
#: httpcore's events that return a new connection, before its TLS handshake.
_CONNECTED = ("connection.connect_tcp.complete", "connection.connect_unix_socket.complete")


class ResponseLimitError(httpx.TransportError):
    """A response that exceeds the limit of bytes or of time."""


@dataclass(frozen=True)
class BoundedResponse:
    """A response that was read to its end.

    :param status: HTTP status.
    :param content: the body.
    """

    status: int
    content: bytes


def bounded_request(
    client: httpx.Client,
    method: str,
    path: str,
    *,
    max_bytes: int,
    seconds: float | None = None,
    **options: Any,
) -> BoundedResponse:
    """Send a request and return its response.

    httpx limits the time of each read: a peer that sends a byte every second, be it of a TLS handshake, of
    headers or of a body, is within these limits for ever. Resolving the host's name is not limited here; the
    system's resolver has its own limits.

    :param client: sends the request.
    :param method: HTTP method.
    :param path: path of the request.
    :param max_bytes: largest body, in bytes.
    :param seconds: longest time until the end of the body; None for the client's time-outs of connecting and
        of one read together.
    :param options: further arguments of ``httpx.Client.stream``.
    :raises ResponseLimitError: the response exceeds a limit.
    :raises httpx.TransportError: the server cannot be reached, or the connection broke.
    """
    if seconds is None:
        seconds = (client.timeout.connect or 0) + (client.timeout.read or 0) or None
    content = bytearray()
    with _Deadline(seconds) as deadline:
        try:
            with client.stream(
                method, path, headers=_HEADERS, extensions={"trace": deadline.trace}, **options
            ) as response:
                for chunk in response.iter_raw():
                    content += chunk
                    if len(content) > max_bytes:
                        raise ResponseLimitError(f"more than {max_bytes:,} bytes")
                    if deadline.expired:
                        raise ResponseLimitError("its time is over")
        except httpx.TransportError:
            if not deadline.expired:
                raise
            raise ResponseLimitError(f"its response takes more than {seconds:g} s") from None
    return BoundedResponse(response.status_code, bytes(content))


class _Deadline:
    """The end of the connections that are open after a time.

    :param seconds: None for never.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._timer = None if seconds is None else threading.Timer(seconds, self._expire)
        self._lock, self._sockets = threading.Lock(), list[socket.socket]()

    def __enter__(self) -> _Deadline:
        if self._timer is not None:
            self._timer.name, self._timer.daemon = "request-deadline", True
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        for each in self._sockets:
            each.close()

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return self._end is not None and time.monotonic() >= self._end

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Note a connection; called by httpcore."""
        if event not in _CONNECTED or self._end is None:
            return
        # TLS takes the descriptor from the socket; a second descriptor reaches the same connection.
        copy = info["return_value"].get_extra_info("socket").dup()
        with self._lock:
            self._sockets.append(copy)
        if self.expired:
            self._expire()

    def _expire(self) -> None:
        with self._lock:
            for each in self._sockets:
                # Another thread's read ends by this, which it does not when a socket is closed.
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
