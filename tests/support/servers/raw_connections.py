"""Connections to an HTTP server of this process, for requests that no client would send."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from tests.support.waiting import eventually

#: Returns a new connection.
Connect = Callable[[], socket.socket]
#: Seconds for which a connection waits for bytes.
_TIMEOUT_S = 20


@contextmanager
def raw_connections(server: uvicorn.Server) -> Iterator[Connect]:
    """Run a server in a thread, and yield a function that connects to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        eventually(lambda: server.started)
        try:
            yield lambda: socket.create_connection(listener.getsockname(), timeout=_TIMEOUT_S)
        finally:
            server.force_exit = server.should_exit = True
            thread.join()
