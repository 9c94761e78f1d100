"""Limits of the work that the page may cause in Airflow's API server, and headers of each response."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import HTTPException

from airflow_deepseek_ocr.plugins.results_page.model_text import MAX_TEXT

#: Requests that work at the same time. They run in the API server's pool of 40 threads (Starlette's
#: default), which serves Airflow's own requests and those of tasks as well.
WORKING = 8
#: Downloads at the same time, and pictures; each may last as long as its reader is slow.
DOWNLOADS, PICTURES = 4, 4
#: Requests that wait for one of these places; they need no thread.
WAITING = 64
#: Seconds that a request waits for a place, that it may last, and that a download may last.
WAIT_S, REQUEST_S, DOWNLOAD_S = 5.0, 60.0, 600.0
#: Bytes of a request's body. FastAPI reads it before it asks who sends it. JSON may write a character as 12.
MAX_BODY = 12 * MAX_TEXT + 10_000

#: Nothing of another host, no script or style in a page's text, no frame of another host around it.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
_HEADERS = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
#: Where no endpoint sets another.
_DEFAULT_HEADERS = {b"cache-control": b"private, no-store"}
#: Ends of the paths of pictures, and of other files.
_PICTURE, _FILES = "/picture", ("/file", "/markdown")


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
    """ASGI middleware: places, time and size for requests to the API, and headers for all responses.

    :param app: the app behind it.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._requests, self._downloads = Places(WORKING), Places(DOWNLOADS)
        self._pictures = Places(PICTURES)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _Response(send)
        if _is_static(scope):
            await self._app(scope, receive, response)
            return
        places, limit_s = self._bounds(scope["path"])
        async with places.place() as has_place:
            if not has_place:
                await response.refuse(
                    503,
                    "The API server is busy with other requests to this page. Try again in a few seconds.",
                )
                return
            try:
                async with asyncio.timeout(limit_s) as limit:
                    await self._app(scope, _bounded(receive), response)
            except TimeoutError:
                if response.is_started or not limit.expired():
                    raise
                await response.refuse(
                    504, f"The request took longer than {limit_s:.0f} s, and was ended. Try again."
                )

    def _bounds(self, path: str) -> tuple[Places, float]:
        if path.endswith(_PICTURE):
            return self._pictures, REQUEST_S
        if path.endswith(_FILES):
            return self._downloads, DOWNLOAD_S
        return self._requests, REQUEST_S


class _Response:
    """The ``send`` of ASGI with this page's headers."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self.is_started = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.is_started = True
            message["headers"] = _headers(message.get("headers", []))
        await self._send(message)

    async def refuse(self, status: int, text: str) -> None:
        headers = [(b"content-type", b"application/json"), (b"retry-after", b"3")]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        body = json.dumps({"detail": text}).encode()
        await self({"type": "http.response.body", "body": body})


def _is_static(scope: MutableMapping[str, Any]) -> bool:
    """Return whether a request is for the page itself or one of its files, whatever Airflow's own path is."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return path in ("", "/") or path.startswith("/static/")


def _bounded(receive: Any) -> Any:
    size = 0

    async def bounded() -> Any:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            raise HTTPException(
                413, "The request is too large: a text has at most a million characters."
            )
        return message

    return bounded


def _headers(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in given}
    added = [*_HEADERS.items(), *((k, v) for k, v in _DEFAULT_HEADERS.items() if k not in names)]
    return [(name, value) for name, value in given if name.lower() not in _HEADERS] + added
