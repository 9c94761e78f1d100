"""Time-outs of connections to the server, and the number of connections that it may have."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from functools import partial

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

#: Seconds until a connection must have sent a request's head; port scanners never do. Also the time in which
#: the rest of a refused request is received and discarded.
HEAD_TIMEOUT_S = 10.0
#: Seconds until a connection must have completed its TLS handshake, and until it is dropped after the server
#: closed it: asyncio's defaults, 60 and 30, are longer than a head may take.
TLS_TIMEOUT_S = 10.0


class HeadTimeoutProtocol(H11Protocol):
    """uvicorn's HTTP protocol with a time-out for a request's head, and for the rest of a refused request.

    uvicorn waits for both without end. It also fails at a malformed part of a request that was answered
    before its end.
    """

    head_timeout_s = HEAD_TIMEOUT_S
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time-out of a new connection."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Receive a head or a part of it, or a part of a body."""
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answer a malformed request; close the connection if its answer was sent before.

        :param msg: the answer's text.
        """
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time-out of a closed connection."""
        self._cancel_timer()
        super().connection_lost(exc)

    def _should_upgrade(self) -> bool:
        # Without uvicorn's warning, with which clients without the API key could fill the log.
        return False

    def _watch(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._cancel_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.head_timeout_s, self._on_timeout)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE or (
            self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete
        ):
            self.transport.close()
        else:
            # The route that reads the body has a time-out for it.
            self._watch()


class HandshakeTimeoutServer(uvicorn.Server):
    """uvicorn's server with time-outs for the beginning and the end of TLS.

    uvicorn waits a minute for a handshake, longer than for the head of a request.

    :param config: uvicorn's configuration, without TLS.
    :param tls: the server's certificate and key; None for plain HTTP.
    """

    tls_timeout_s = TLS_TIMEOUT_S

    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the application's start, then accept connections.

        :param sockets: listening sockets.
        """
        await super().startup(sockets=[])
        if self.should_exit:
            return
        protocol: Callable[[], asyncio.Protocol] = partial(
            self.config.http_protocol_class,  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        timeout_s = self.tls_timeout_s if self._tls else None
        for each in sockets or []:
            self.servers.append(
                await asyncio.get_running_loop().create_server(
                    protocol,
                    sock=each,
                    ssl=self._tls,
                    backlog=self.config.backlog,
                    ssl_handshake_timeout=timeout_s,
                    ssl_shutdown_timeout=timeout_s,
                )
            )
