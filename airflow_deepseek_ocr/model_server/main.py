"""The server's process: its listening socket, its end, and the cleaning up."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import uvicorn
from fastapi import FastAPI

from airflow_deepseek_ocr.hardware.open_files import raise_open_files_limit
from airflow_deepseek_ocr.model_server.app import make_app
from airflow_deepseek_ocr.model_server.http_timeouts import (
    HandshakeTimeoutServer,
    HeadTimeoutProtocol,
)
from airflow_deepseek_ocr.model_server.listen_address import ListenAddress
from airflow_deepseek_ocr.model_server.server_tls import ServerTls
from airflow_deepseek_ocr.model_server.service import Service

log = logging.getLogger(__name__)

#: Seconds for which pages in flight may continue when the server is asked to end.
DRAIN_S = 120
_TICK_S = 0.5
#: Seconds between two checks for a renewed certificate; Kubernetes updates volumes about once a minute.
RENEWAL_S = 30.0


def run(
    make_service: Callable[[Callable[[], None]], Service],
    *,
    api_key: str,
    address: ListenAddress,
    idle_s: float | None,
    tls: ServerTls | None = None,
) -> None:
    """Serve until a signal (SIGTERM, SIGINT) arrives, or no client has sent a request for ``idle_s`` seconds.

    :param make_service: creates the service; its argument is to be called when the engine has ended.
    :param api_key: bearer token that clients must send.
    :param address: where to listen.
    :param idle_s: seconds without a request after which the server ends; None for never.
    :param tls: the server's certificate and key; None for plain HTTP.
    :raises DeepSeekOCRError: the model could not be loaded, or the engine ended.
    """
    server: uvicorn.Server

    def leave() -> None:
        server.should_exit = True

    service = make_service(leave)
    app = _build_app(service, api_key, idle_s, leave, tls)
    server = _server(app, tls.context if tls else None)
    # uvicorn raises the signal again after it has drained; the process still has to clean up then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    raise_open_files_limit()
    with address.open() as bound:
        port = 0 if address.socket_path else bound.getsockname()[1]
        log.info("Listening on %s%s", replace(address, port=port), " with TLS" if tls else "")
        try:
            server.run(sockets=[bound])
        finally:
            if address.socket_path is not None:
                address.socket_path.unlink(missing_ok=True)
    if service.failure is not None:
        raise service.failure


def _build_app(
    service: Service,
    api_key: str,
    idle_s: float | None,
    leave: Callable[[], None],
    tls: ServerTls | None,
) -> FastAPI:
    """Return the application, which loads the model when it starts and closes the service when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.load()
        watching = [asyncio.create_task(_leave_when_idle(service, idle_s, leave))]
        if tls is not None:
            watching.append(asyncio.create_task(_use_renewed_certificates(tls)))
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            service.close()

    app = make_app(service, api_key)
    app.router.lifespan_context = lifespan
    return app


def _server(app: FastAPI, tls: ssl.SSLContext | None) -> uvicorn.Server:
    return HandshakeTimeoutServer(
        uvicorn.Config(
            app,
            # The tests cover requests that this protocol refuses before their body is read.
            http=HeadTimeoutProtocol,
            # uvicorn would hand the connection to a protocol that knows no time-outs, and no ends of them.
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
        ),
        tls,
    )


async def _use_renewed_certificates(tls: ServerTls) -> None:
    while True:
        await asyncio.sleep(RENEWAL_S)
        tls.renew()


async def _leave_when_idle(
    service: Service, idle_s: float | None, leave: Callable[[], None]
) -> None:
    while idle_s is None or service.idle_s < idle_s:
        await asyncio.sleep(_TICK_S)
        if service.page_files:
            service.page_files.sweep()
    log.info("No request for %g s; the server ends", idle_s)
    leave()
