"""The server's routes: who may ask, how much, and what is answered."""

from __future__ import annotations

import asyncio
import hmac
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_deepseek_ocr.engines.protocol.chat_completions import CLIENT_HEADER, OWN, Capabilities
from airflow_deepseek_ocr.model_server.admission import Place
from airflow_deepseek_ocr.model_server.request_parsing import ParsedPage, RequestError, parse_page
from airflow_deepseek_ocr.model_server.service import Service
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.resolution import DEFAULT_RESOLUTION

#: What may be asked without the secret: only whether the server is there.
_OPEN = frozenset({"/health/live", "/health/ready"})
_BODY_TIMEOUT_S = 120.0
_RETRY_AFTER_S = 1
_LONGEST_CALLER = 64
#: nginx's status for a client that closed the connection; it is counted, never sent.
_CLIENT_GONE = 499


def make_app(service: Service, secret: str) -> FastAPI:
    """The application.

    :param service: what is behind it.
    :param secret: what callers must know.
    """
    app = FastAPI(title="airflow-deepseek-ocr", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(_RequireSecret, secret=secret)

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> JSONResponse:
        return _error(error.status, error.code, str(error))

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        return JSONResponse(
            {"status": service.state}, status_code=200 if service.capabilities else 503
        )

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        service.touch()
        return {"object": "list", "data": [_require_ready(service).card()]}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> JSONResponse:
        try:
            response = await _chat(service, request)
        except RequestError as error:
            response = _error(error.status, error.code, str(error))
        except ClientDisconnect:
            response = _gone()
        service.metrics.responses.labels(str(response.status_code)).inc()
        return response

    return app


async def _chat(service: Service, request: Request) -> JSONResponse:
    capabilities = _require_ready(service)
    caller = request.headers.get(CLIENT_HEADER, "")[:_LONGEST_CALLER]
    with service.place(caller) as place:
        if place is None:
            return _error(
                429, "server_full", "As many pages wait as the server takes; try again later."
            )
        started = time.monotonic()
        body = await _body(request, service.max_body_bytes)
        page = await run_in_threadpool(
            parse_page, body, capabilities, DEFAULT_RESOLUTION, service.page_files
        )
        del body
        service.weigh(place, page)
        reading = await _unless_gone(request, _read(service, page, place))
        if reading is None:
            return _gone()
        service.metrics.count(page.resolution, reading, time.monotonic() - started)
        return _answer(capabilities.model, reading)


def _gone() -> JSONResponse:
    return _error(_CLIENT_GONE, "cancelled", "The client closed the connection.")


def _require_ready(service: Service) -> Capabilities:
    if service.capabilities is None:
        raise RequestError(503, "server_not_ready", f"The server is {service.state}.")
    return service.capabilities


async def _read(service: Service, page: ParsedPage, place: Place) -> PageOutput:
    def request(key: int, cancelled: Callable[[], bool]) -> PageRequest:
        return PageRequest(
            key=key,
            image=page.image,
            prompt=page.prompt,
            resolution=page.resolution,
            max_output_length=page.max_tokens,
            cancelled=cancelled,
            no_repeat_ngram=page.no_repeat_ngram,
        )

    return await service.pages.read(request, place.caller, place.tokens)


async def _body(request: Request, limit: int) -> bytes:
    """The request's body, refused as soon as it is known to be larger than ``limit`` bytes."""
    too_large = RequestError(413, "request_too_large", f"A request may have {limit:,} bytes.")
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > limit:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise RequestError(408, "request_timeout", "The request did not come in time.") from None
    return b"".join(parts)


async def _unless_gone(request: Request, reading: Awaitable[PageOutput]) -> PageOutput | None:
    """The reading; None, and the page is given up, if the client closes the connection first."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    work, watch = asyncio.ensure_future(reading), asyncio.ensure_future(gone())
    try:
        await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        work.cancel()
        watch.cancel()
        await asyncio.gather(work, watch, return_exceptions=True)


def _answer(model: str, reading: PageOutput) -> JSONResponse:
    if reading.error is not None:
        broken = reading.error.code == "server_broken"
        return _error(
            503 if broken else 500, reading.error.code, str(reading.error), page=not broken
        )
    return JSONResponse(
        {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": reading.text},
                    "finish_reason": str(reading.finish_reason),
                }
            ],
            "usage": {
                "prompt_tokens": reading.prompt_tokens,
                "completion_tokens": reading.text_tokens,
                "total_tokens": reading.prompt_tokens + reading.text_tokens,
                "prompt_tokens_details": {"image_tokens": reading.vision_tokens},
            },
            OWN: {"seconds": round(reading.seconds, 6)},
        }
    )


def _error(status: int, code: str, message: str, *, page: bool = False) -> JSONResponse:
    """An error as OpenAI's API words it.

    :param page: it is this page's own, and another try would end the same way.
    """
    headers = {"Retry-After": str(_RETRY_AFTER_S)} if status in (429, 503) else {}
    if page:
        headers["x-should-retry"] = "false"
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse(
        {"error": {"message": message, "type": kind, "code": code, "param": None}},
        status_code=status,
        headers=headers,
    )


class _RequireSecret:
    """Answers 401 to whoever does not know the secret, before anything is read."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app, self._expected = app, f"Bearer {secret}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                response = _error(401, "server_api_key", "The secret is missing or wrong.")
                response.headers["WWW-Authenticate"] = "Bearer"
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
