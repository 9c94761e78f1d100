"""The server's routes: authentication, limits, and responses."""

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

from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    CHAT_PATH,
    CLIENT_HEADER,
    OWN,
    Capabilities,
)
from airflow_deepseek_ocr.engines.protocol.request_errors import RequestErrorCode
from airflow_deepseek_ocr.engines.protocol.token_logprobs import COMPACT, to_compact, to_openai
from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.model_server.admission import Ticket
from airflow_deepseek_ocr.model_server.body_budget import Reception
from airflow_deepseek_ocr.model_server.request_parsing import (
    AskedProbabilities,
    ParsedPage,
    RequestError,
    parse_page,
)
from airflow_deepseek_ocr.model_server.service import Service
from airflow_deepseek_ocr.ocr.engine_protocol import PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.families.registry import DEFAULT_RESOLUTION

#: Paths that need no API key.
_OPEN = frozenset({"/health/live", "/health/ready"})
#: Seconds in which a request's body must arrive.
_BODY_TIMEOUT_S = 120.0
#: Seconds that a refused client is asked to wait.
_RETRY_AFTER_S = 1
#: Longest name of a client that is kept, in characters.
_MAX_CLIENT_NAME = 64
#: nginx's status for a client that closed the connection. It is counted, never sent.
_CLIENT_GONE = 499


def make_app(service: Service, api_key: str) -> FastAPI:
    """Return the application.

    :param service: engine and limits.
    :param api_key: bearer token that clients must send.
    """
    app = FastAPI(title="airflow-deepseek-ocr", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(_RequireApiKey, api_key=api_key)

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
    def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.post(CHAT_PATH)
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
    client = request.headers.get(CLIENT_HEADER, "")[:_MAX_CLIENT_NAME]
    with service.admit(client) as ticket:
        if ticket is None:
            raise _full()
        started = time.monotonic()
        with service.bodies.receive() as reception:
            body = await _body(request, service.max_body_bytes, reception)
            page = await run_in_threadpool(
                parse_page, body, capabilities, DEFAULT_RESOLUTION, service.page_files
            )
            del body
        service.weigh(ticket, page)
        output = await _unless_gone(request, _read(service, page, ticket))
        if output is None:
            return _gone()
        service.metrics.count(page.resolution, output, time.monotonic() - started)
        if page.probabilities is None:
            return _answer(capabilities.model, output)
        # OpenAI's form of a long page takes tens of milliseconds, which other pages' answers would wait.
        return await run_in_threadpool(
            _answer, capabilities.model, output, asked=page.probabilities
        )


def _full() -> RequestError:
    return RequestError(429, ErrorCode.SERVER_FULL, "The server's queue is full; try again later.")


def _gone() -> JSONResponse:
    return _error(_CLIENT_GONE, ErrorCode.CANCELLED, "The client closed the connection.")


def _require_ready(service: Service) -> Capabilities:
    if service.capabilities is None:
        raise RequestError(
            503, RequestErrorCode.SERVER_NOT_READY, f"The server is not ready: {service.state}."
        )
    return service.capabilities


async def _read(service: Service, page: ParsedPage, ticket: Ticket) -> PageOutput:
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

    return await service.dispatcher.read(request, ticket.client, ticket.tokens)


async def _body(request: Request, limit: int, reception: Reception) -> bytearray:
    """Return the request's body, or refuse it as soon as it is known to exceed ``limit`` bytes."""
    too_large = RequestError(
        413, RequestErrorCode.REQUEST_TOO_LARGE, f"A request may have at most {limit:,} bytes."
    )
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            async for part in request.stream():
                if len(body) + len(part) > limit:
                    raise too_large
                await reception.take(len(part))
                body += part
    except TimeoutError:
        if reception.waits:
            raise _full() from None
        raise RequestError(
            408,
            RequestErrorCode.REQUEST_TIMEOUT,
            f"The request's body did not arrive in {_BODY_TIMEOUT_S:g} s.",
        ) from None
    return body


async def _unless_gone(request: Request, output: Awaitable[PageOutput]) -> PageOutput | None:
    """Return the output; None, and cancel the page, if the client closes the connection first."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    work, watch = asyncio.ensure_future(output), asyncio.ensure_future(gone())
    try:
        await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        work.cancel()
        watch.cancel()
        await asyncio.gather(work, watch, return_exceptions=True)


def _answer(
    model: str, output: PageOutput, asked: AskedProbabilities | None = None
) -> JSONResponse:
    if output.error is not None:
        broken = output.error.code == ErrorCode.SERVER_BROKEN
        return _error(
            503 if broken else 500, output.error.code, str(output.error), final=not broken
        )
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": output.text},
        "finish_reason": str(output.finish_reason),
    }
    own: dict[str, Any] = {"seconds": round(output.seconds, 6)}
    if asked is not None and output.token_probabilities is not None:
        if asked.top is None:
            own[COMPACT] = to_compact(output.token_probabilities)
        else:
            choice["logprobs"] = to_openai(output.token_probabilities, asked.top)
    return JSONResponse(
        {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [choice],
            "usage": {
                "prompt_tokens": output.prompt_tokens,
                "completion_tokens": output.text_tokens,
                "total_tokens": output.prompt_tokens + output.text_tokens,
                "prompt_tokens_details": {"image_tokens": output.vision_tokens},
            },
            OWN: own,
        }
    )


def _error(
    status: int, code: RequestErrorCode | ErrorCode, message: str, *, final: bool = False
) -> JSONResponse:
    """Return an error in the format of OpenAI's API.

    :param final: the page caused the error, and another attempt would fail as well.
    """
    headers = {"Retry-After": str(_RETRY_AFTER_S)} if status in (429, 503) else {}
    if final:
        headers["x-should-retry"] = "false"
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse(
        {"error": {"message": message, "type": kind, "code": code, "param": None}},
        status_code=status,
        headers=headers,
    )


def _with_path(scope: Scope) -> Scope:
    """Return the scope of a request, with the path in place of a URL."""
    scheme, found, rest = scope.get("path", "").partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        return scope
    path = f"/{rest.partition('/')[2]}"
    return {**scope, "path": path, "raw_path": path.encode()}


def _unsupported(scope: Scope) -> JSONResponse | None:
    """Return the answer to a tunnel, or to another version of HTTP; what follows it is no request."""
    if scope["type"] != "http":
        return None
    if scope["http_version"] not in ("1.0", "1.1"):
        status, message = 505, "The server speaks HTTP/1.1 only."
    elif scope["method"] == "CONNECT":
        status, message = (
            405,
            "The server is no proxy. Empty HTTP_PROXY, or correct the client's address.",
        )
    else:
        return None
    response = _error(status, RequestErrorCode.BAD_REQUEST, message)
    response.headers.update(
        {"Connection": "close"} | ({"Allow": "GET, POST"} if status == 405 else {})
    )
    return response


class _RequireApiKey:
    """Responds 401 to requests without the API key, before their body is read.

    Requests of clients that take the server for a proxy get an answer as well: a URL in place of the path is
    the path in it (RFC 9112, 3.2.2), and a tunnel is refused.
    """

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app, self._expected = app, f"Bearer {api_key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = _with_path(scope)
        if (refusal := _unsupported(scope)) is not None:
            await refusal(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            sent = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(sent, self._expected):
                response = _error(401, ErrorCode.SERVER_API_KEY, "The API key is missing or wrong.")
                response.headers["WWW-Authenticate"] = "Bearer"
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
