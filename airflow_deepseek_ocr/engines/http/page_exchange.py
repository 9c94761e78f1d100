"""A page's trip over HTTP: deliver the image, send the request, read the output."""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import httpx

from airflow_deepseek_ocr.engines.http.image_delivery import EncodedPage, ImageDelivery, Server
from airflow_deepseek_ocr.engines.http.responses import (
    Refusal,
    read_body,
    refusal_error,
    transport_error,
)
from airflow_deepseek_ocr.engines.http.retries import (
    FailedAttempts,
    PageFailedError,
    RetryableError,
    RetryPolicy,
)
from airflow_deepseek_ocr.engines.http.session import Session
from airflow_deepseek_ocr.engines.http.token_probabilities import ProbabilityReader
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    CHAT_PATH,
    CLIENT_HEADER,
    END_OF_TEXT,
    OWN,
    PUBLISHED_TABLE_CELLS,
    Capabilities,
    chat_request,
)
from airflow_deepseek_ocr.engines.protocol.token_logprobs import MALFORMED, request_fields
from airflow_deepseek_ocr.exceptions import ErrorCode, ServerUnreachableError, UnavailableError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput

#: The image's position in a request that was built without image. Quotes inside of texts are escaped.
_NO_IMAGE = '"url":""'
#: Tokens of a prompt besides the image and its line: the first one, and a line end.
_PROMPT_EXTRA = 8
#: Largest number of tokens that a server may report: what a column of the results holds.
_MAX_COUNT = 2**31 - 1


class PageExchange:
    """Sends pages to the session's server and returns their outputs.

    :param session: connections to the server.
    :param delivery: delivers images.
    :param decoding: settings for pages whose request has none.
    :param client_id: name of this client, for the server's fair shares.
    :param table_cells: ids of tokens that may repeat in spite of n-gram blocking.
    :param retry_policy: time-outs and numbers of attempts.
    """

    def __init__(
        self,
        session: Session,
        *,
        delivery: ImageDelivery,
        decoding: Decoding,
        client_id: str = "",
        table_cells: tuple[int, ...] = PUBLISHED_TABLE_CELLS,
        retry_policy: RetryPolicy,
    ) -> None:
        self._session, self._delivery = session, delivery
        self._decoding, self._table_cells = decoding, table_cells
        self._client_id, self._retry_policy = client_id, retry_policy
        self._probabilities = ProbabilityReader() if decoding.token_probabilities else None

    async def read(self, page: EncodedPage) -> PageOutput:
        """Return the page's output, which has an error if this page alone failed.

        :raises DeepSeekOCRError: an error that concerns all pages: no server, or a wrong API key.
        """
        failed = FailedAttempts(self._retry_policy)

        async def attempt() -> PageOutput:
            async with self._session.exclusive(failed.broken > 0):
                return await self._attempt(page, as_file=failed.as_file)

        try:
            return await failed.retrying()(attempt)
        except PageFailedError as failure:
            if isinstance(failure.error, ServerUnreachableError):
                raise failure.error from None
            return PageOutput(key=page.request.key, error=failure.error)

    async def _attempt(self, page: EncodedPage, *, as_file: bool) -> PageOutput:
        async with self._session.upload_turn() as uploaded:
            # The server may be replaced while a file is being written for it.
            server, client = self._session.server, self._session.client
            async with self._delivery.deliver(page, server, uploaded, as_file=as_file) as image:
                parts = request_body(
                    page, image.url, server.capabilities, self._decoding, self._table_cells
                )
                request = client.build_request(
                    "POST",
                    CHAT_PATH,
                    content=_then(parts, image.on_sent),
                    headers={
                        CLIENT_HEADER: self._client_id,
                        "Content-Type": "application/json",
                        "Content-Length": str(sum(map(len, parts))),
                    },
                )
                started = time.monotonic()
                body = await self._send(server, client, request)
                return read_output(
                    page,
                    body,
                    time.monotonic() - started,
                    server.capabilities,
                    self._probabilities,
                )

    async def _send(
        self, server: Server, client: httpx.AsyncClient, request: httpx.Request
    ) -> bytes:
        """Return the body of a response with status 200."""
        try:
            response = await client.send(request, stream=True)
            try:
                body = await read_body(response)
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            if not isinstance(error, httpx.TimeoutException):
                await self._session.renew(server.endpoint)
            page_s = self._retry_policy.page_s
            raise transport_error(server.endpoint, error, page_s) from None
        if response.status_code != httpx.codes.OK:
            await self._refuse(Refusal.of(response, body, server.endpoint))
        return body

    async def _refuse(self, refusal: Refusal) -> None:
        error = refusal_error(refusal)
        if refusal.suggests_new_server and await self._session.renew(refusal.endpoint):
            reason = UnavailableError(ErrorCode.SERVER_ERROR, f"The server was replaced: {refusal}")
            raise RetryableError(reason, refusal.retry_after_s)
        raise error


async def _then(parts: Iterable[bytes], call: Callable[[], None]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    call()


def request_body(
    page: EncodedPage,
    image_url: bytes,
    capabilities: Capabilities,
    decoding: Decoding,
    table_cells: tuple[int, ...],
) -> tuple[bytes, ...]:
    """Return the chat completion request, in parts that are sent one after the other.

    The image, which has megabytes, is not copied: all pages' requests are built in one thread.

    :param page: page to send.
    :param image_url: URL of its image.
    :param capabilities: the server's.
    :param decoding: settings for a page whose request has none.
    :param table_cells: ids of tokens that may repeat in spite of n-gram blocking.
    """
    request = page.request
    most = min(decoding.max_output_length, request.max_output_length or decoding.max_output_length)
    no_repeat_ngram = request.no_repeat_ngram or decoding
    if capabilities.context_length is not None and capabilities.version is None:
        # vLLM refuses a request that may exceed its context. A line has at most a token per byte.
        prompt = capabilities.vision_tokens(request.resolution, *page.size)
        prompt += len(page.line.encode()) + _PROMPT_EXTRA
        most = max(1, min(most, capabilities.context_length - prompt))
    body = chat_request(
        model=capabilities.model,
        image_url="",
        line=page.line,
        resolution=request.resolution if len(capabilities.modes) > 1 else None,
        max_tokens=most,
        no_repeat_ngram=(no_repeat_ngram.ngram_size, no_repeat_ngram.ngram_window),
        table_cells=table_cells,
        ignore_eos=decoding.forced,
    )
    if decoding.token_probabilities:
        body |= request_fields(capabilities)
    before, _, after = json.dumps(body, separators=(",", ":")).partition(_NO_IMAGE)
    return (before + _NO_IMAGE[:-1]).encode(), image_url, ('"' + after).encode()


def read_output(
    page: EncodedPage,
    body: bytes,
    seconds: float,
    capabilities: Capabilities,
    probabilities: ProbabilityReader | None = None,
) -> PageOutput:
    """Return the page's output from the body of a chat completion.

    :param page: page that was sent.
    :param body: the response's body.
    :param seconds: duration of the request, for a server that does not report its own.
    :param capabilities: the server's.
    :param probabilities: reads the probabilities of tokens; None if the request did not ask for them.
    :return: an output with the error ``server_response`` if the body is no chat completion.
    """
    request = page.request
    try:
        answer = httpx.Response(200, content=body).json()
        choice, usage = answer["choices"][0], answer.get("usage") or {}
        details, own = usage.get("prompt_tokens_details") or {}, answer.get(OWN) or {}
        vision = details.get("image_tokens")
        if vision is None:
            vision = capabilities.vision_tokens(request.resolution, *page.size)
        text = _text(choice["message"]["content"]).removesuffix(END_OF_TEXT)
        return PageOutput(
            key=request.key,
            text=text,
            finish_reason=FinishReason(choice["finish_reason"]),
            vision_tokens=_count(vision),
            prompt_tokens=_count(usage.get("prompt_tokens", 0)),
            text_tokens=_count(usage.get("completion_tokens", 0)),
            seconds=_seconds(own.get("seconds", seconds)),
            token_probabilities=probabilities.read(answer, text, capabilities)
            if probabilities
            else None,
        )
    except MALFORMED as error:
        return PageOutput(
            key=request.key,
            error=UnavailableError(
                ErrorCode.SERVER_RESPONSE,
                f"The response is no chat completion ({type(error).__name__}). Is the server an "
                "OpenAI-compatible server with DeepSeek-OCR?",
            ),
        )


def _text(value: Any) -> str:
    if not isinstance(value, str | None):
        raise TypeError("not a text")
    return value or ""


def _count(value: Any) -> int:
    number = int(value)
    if not 0 <= number <= _MAX_COUNT:
        raise ValueError("not a number of tokens")
    return number


def _seconds(value: Any) -> float:
    number = float(value)
    if not 0 <= number < math.inf:
        raise ValueError("not a duration")
    return number
