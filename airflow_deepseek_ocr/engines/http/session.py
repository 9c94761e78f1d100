"""The connections of one call to a server that may be replaced meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from airflow_deepseek_ocr.concurrency.event_loop_thread import run_in_daemon_thread
from airflow_deepseek_ocr.engines.http.image_delivery import Server
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import ServerUnreachableError


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """How many pages are uploaded at the same time.

    Hundreds of uploads that share the way all arrive late. A server that has the first pages can start with
    them.

    :param concurrent: most uploads at once.
    :param turn_s: seconds after which an upload no longer counts, as the server may not be receiving it.
    """

    concurrent: int = 8
    turn_s: float = 10.0


class Session:
    """The connections of one call of ``read``, which may outlive a server.

    :param server: current server.
    :param find: returns the current server; called again when a request fails.
    :param connect: creates a client.
    :param uploads: limits of concurrent uploads.
    """

    def __init__(
        self,
        server: Server,
        *,
        find: Callable[[], Server],
        connect: Callable[[Endpoint], httpx.AsyncClient],
        uploads: UploadLimits | None = None,
    ) -> None:
        uploads = uploads or UploadLimits()
        self._find, self._connect, self._turn_s = find, connect, uploads.turn_s
        self._clients: list[httpx.AsyncClient] = []
        self._renewing, self._exclusive = asyncio.Lock(), asyncio.Lock()
        self._uploads = asyncio.Semaphore(uploads.concurrent)
        self._use(server)

    def _use(self, server: Server) -> None:
        """Send further pages to that server; requests to an earlier one may still end."""
        self.server, self.client = server, self._connect(server.endpoint)
        self._clients.append(self.client)

    async def close(self) -> None:
        """Close the connections to all servers."""
        for client in self._clients:
            await client.aclose()

    async def renew(self, failed: Endpoint) -> bool:
        """Find the server again after a request to ``failed`` failed.

        :return: whether the server is another one now.
        :raises DeepSeekOCRError: there is no server, and waiting would not help.
        """
        async with self._renewing:
            if self.server.endpoint == failed:
                server = await run_in_daemon_thread(self._find_or_none)
                if server is not None and server.endpoint != failed:
                    self._use(server)
        return self.server.endpoint != failed

    def _find_or_none(self) -> Server | None:
        try:
            return self._find()
        except ServerUnreachableError:
            return None  # it may return while attempts are left

    @asynccontextmanager
    async def exclusive(self, needed: bool) -> AsyncIterator[None]:
        """Run pages during which a server broke one after the other, as one of them may be the reason."""
        if not needed:
            yield
            return
        async with self._exclusive:
            yield

    @asynccontextmanager
    async def upload_turn(self) -> AsyncIterator[Callable[[], None]]:
        """Wait for a turn to upload a page, and yield the function that ends it when the page is sent."""
        await self._uploads.acquire()
        over = False

        def end() -> None:
            nonlocal over
            if not over:
                over = True
                self._uploads.release()

        timer = asyncio.get_running_loop().call_later(self._turn_s, end)
        try:
            yield end
        finally:
            timer.cancel()
            end()
