"""The server's process: where it listens, when it leaves, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.model_server.app import make_app
from airflow_deepseek_ocr.model_server.http_timeouts import ImpatientProtocol, allow_many
from airflow_deepseek_ocr.model_server.service import Service

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
_TICK_S = 0.5
#: Seconds that pages in flight have to end in when the server is told to leave.
DRAIN_S = 120


@dataclass(frozen=True)
class Listen:
    """Where a server listens: on this host alone.

    :param socket_path: path of a Unix socket, made with mode 0600; or
    :param port: a TCP port of the loopback; 0 takes a free one.
    """

    socket_path: Path | None = None
    port: int = 0

    def open(self) -> socket.socket:
        """The listening socket.

        :raises UnavailableError: ``server_address`` if it cannot be had.
        """
        try:
            if self.socket_path is None:
                return socket.create_server((LOOPBACK, self.port), backlog=1024)
            server = socket.socket(socket.AF_UNIX)
            mask = os.umask(0o177)
            try:
                server.bind(str(self.socket_path))
            finally:
                os.umask(mask)
            server.listen(1024)
            return server
        except OSError as error:
            where = self.socket_path or f"{LOOPBACK}:{self.port}"
            raise UnavailableError(
                ErrorCode.SERVER_ADDRESS,
                f"The server cannot listen on {where}: {error.strerror or error}.",
            ) from error


def run(
    make_service: Callable[[Callable[[], None]], Service],
    *,
    secret: str,
    listen: Listen,
    idle_s: float | None,
) -> None:
    """Serve until told to leave (SIGTERM, SIGINT), or nobody asked for ``idle_s`` seconds.

    :param make_service: makes the service; it is given what to call when the engine has ended.
    :param secret: what callers must know.
    :param listen: where.
    :param idle_s: seconds without a request after which the server leaves; None for never.
    :raises DeepSeekOCRError: what kept the model from being loaded, or the engine from going on.
    """
    server: uvicorn.Server

    def leave() -> None:
        server.should_exit = True

    service = make_service(leave)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.load()
        watching = asyncio.create_task(_leave_when_idle(service, idle_s, leave))
        try:
            yield
        finally:
            watching.cancel()
            service.close()

    app = make_app(service, secret)
    app.router.lifespan_context = lifespan
    config = uvicorn.Config(
        app,
        # Its way with requests that are refused before they were read is the one tested here.
        http=ImpatientProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal again when it has drained; the process then still has to clean up.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    allow_many()
    with listen.open() as bound:
        log.info("Listening on %s", listen.socket_path or f"{LOOPBACK}:{bound.getsockname()[1]}")
        try:
            server.run(sockets=[bound])
        finally:
            if listen.socket_path is not None:
                listen.socket_path.unlink(missing_ok=True)
    if service.failure is not None:
        raise _own(
            service.failure,
            ErrorCode.SERVER_BROKEN if service.state == "broken" else ErrorCode.SERVER_FAILED,
        )


async def _leave_when_idle(
    service: Service, idle_s: float | None, leave: Callable[[], None]
) -> None:
    while idle_s is None or service.idle_s < idle_s:
        await asyncio.sleep(_TICK_S)
        if service.page_files:
            service.page_files.sweep()
    log.info("Nobody asked for %g s; leaving", idle_s)
    leave()


def _own(error: Exception, code: ErrorCode) -> DeepSeekOCRError:
    if isinstance(error, DeepSeekOCRError):
        return error
    return UnavailableError(code, f"{type(error).__name__}: {error}")
