"""Limits of the work that the page may cause in Airflow's API server, and headers of each response."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

#: Requests that work at the same time. They run in the API server's pool of 40 threads (Starlette's
#: default), which serves Airflow's own requests and those of tasks as well.
WORKING = 8
#: Downloads at the same time; each may last as long as its reader is slow.
DOWNLOADS = 4
#: Requests that wait for one of these places; they need no thread.
WAITING = 64
#: Seconds that a request waits for a place, and that a download may last.
WAIT_S, DOWNLOAD_S = 5.0, 600.0

#: Nothing of another host, no script or style in a page's text, no frame of another host around it.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
_HEADERS = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
}
#: Where no endpoint sets another.
_DEFAULT_HEADERS = {b"cache-control": b"private, no-store"}
#: Paths of files of exports end with it.
_FILES = ("/picture", "/file", "/markdown")


class Places:
    """A bounded number of requests at a time, and a bounded number that wait.

    :param working: requests at a time.
    :param waiting: requests that wait.
    """

    def __init__(self, working: int, waiting: int = WAITING) -> None:
        self._places = asyncio.Semaphore(working)
        self._waiting, self._most_waiting = 0, waiting

    @asynccontextmanager
    async def place(self, wait_s: float = WAIT_S) -> AsyncIterator[bool]:
        """Hold a place until the block ends.

        :param wait_s: seconds to wait for it.
        :return: whether there was one.
        """
        has_place = await self._acquire(wait_s)
        try:
            yield has_place
        finally:
            if has_place:
                self._places.release()

    async def _acquire(self, wait_s: float) -> bool:
        if self._waiting >= self._most_waiting:
            return False
        self._waiting += 1
        try:
            await asyncio.wait_for(self._places.acquire(), wait_s)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True


class Gate:
    """ASGI middleware: places for requests to the API, and headers for all responses.

    :param app: the app behind it.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._requests, self._downloads = Places(WORKING), Places(DOWNLOADS)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _headers(message.get("headers", []))
            await send(message)

        path = scope["path"]
        if "/api/" not in path:
            await self._app(scope, receive, with_headers)
        elif path.endswith(_FILES):
            async with self._downloads.place() as has_place:
                await self._in_time(has_place, scope, receive, with_headers)
        else:
            async with self._requests.place() as has_place:
                await self._answer(has_place, scope, receive, with_headers)

    async def _in_time(self, has_place: bool, *asgi: Any) -> None:
        async with asyncio.timeout(DOWNLOAD_S):
            await self._answer(has_place, *asgi)

    async def _answer(self, has_place: bool, scope: Any, receive: Any, send: Any) -> None:
        if has_place:
            await self._app(scope, receive, send)
            return
        text = (
            "The API server is busy with other requests to this page. Try again in a few seconds."
        )
        headers = [(b"content-type", b"application/json"), (b"retry-after", b"3")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps({"detail": text}).encode()})


def _headers(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in given}
    added = [*_HEADERS.items(), *((k, v) for k, v in _DEFAULT_HEADERS.items() if k not in names)]
    return [(name, value) for name, value in given if name.lower() not in _HEADERS] + added
