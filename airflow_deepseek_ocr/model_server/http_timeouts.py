"""Connections to the server: how many there may be, and how long they may say nothing."""

from __future__ import annotations

import asyncio
import logging
import resource

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

#: Seconds until a connection has said what it wants; those of port scanners never do. Also those
#: that the rest of a request may take that was answered already; it is thrown away.
HEAD_TIMEOUT_S = 10.0


def allow_many() -> None:
    """Let the process have as many connections as the system lets it: each page in flight has one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as error:
        log.warning("The limit of open files stays as it is: %s", error)


class ImpatientProtocol(H11Protocol):
    """uvicorn's way with a connection, but that waits without end for a request's head, and for the rest
    of one that was refused."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The connection is there, and nothing was said yet."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Something was said: a head as a whole, or less, or what belongs to a body."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_waiting()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_TIMEOUT_S, self._look)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _look(self) -> None:
        self._waiting = None
        if self.conn.their_state is h11.IDLE or (
            self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete
        ):
            self.transport.close()
        else:
            # A body that somebody waits for has a time-out of its own.
            self._watch()
