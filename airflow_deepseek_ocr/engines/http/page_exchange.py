"""One page over HTTP: what is sent for it, and the reading in the answer."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx

from airflow_deepseek_ocr.concurrency.event_loop_thread import run_in_daemon_thread
from airflow_deepseek_ocr.engines.http.image_encoding import data_url
from airflow_deepseek_ocr.engines.http.page_file_writer import PageTooLargeError, page_file
from airflow_deepseek_ocr.engines.protocol.chat_completions import (
    END_OF_TEXT,
    OWN,
    Capabilities,
    chat_request,
)
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.page_files import page_directory
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine_protocol import FinishReason, PageOutput, PageRequest
from airflow_deepseek_ocr.ocr.prompts import prompt_line

log = logging.getLogger(__name__)

#: Seconds for which no file is tried after one could not be written.
_NO_FILES_S = 60.0
#: Where the image belongs in a request that was written without one. Quotes inside of texts are escaped.
_NO_IMAGE = '"url":""'
#: Tokens of a prompt besides the image and its line: the first one, and a line end.
_PROMPT_EXTRA = 8


@dataclass(frozen=True)
class EncodedPage:
    """A page that is ready to be sent.

    :param request: what is to be read, and how.
    :param image_url: the image as a data URL, in ASCII; None if it goes as a file.
    :param line: the prompt's line.
    :param size: width and height of the image in pixels.
    """

    request: PageRequest
    image_url: bytes | None
    line: str
    size: tuple[int, int]


def encode(request: PageRequest, capabilities: Capabilities, endpoint: Endpoint) -> EncodedPage:
    """Make a page ready to be sent: its image, unless it goes as a file, which is written when it goes.

    :raises ConfigurationError: ``server_mode``, ``server_prompt``: the server cannot read so.
    """
    capabilities.require(request.prompt, request.resolution)
    as_file = capabilities.page_directory is not None and endpoint.socket_path is not None
    url = None if as_file else _data_url(request, capabilities, endpoint)
    return EncodedPage(request, url, prompt_line(request.prompt), request.image.size)


def _data_url(request: PageRequest, capabilities: Capabilities, endpoint: Endpoint) -> bytes:
    url = data_url(request.image, local=endpoint.local, limit=capabilities.max_body_bytes)
    return url.encode()


@dataclass(frozen=True)
class SentImage:
    """How an image goes to a server.

    :param url: of the image, in ASCII.
    :param on_sent: to be called when the request is sent.
    """

    url: bytes
    on_sent: Callable[[], None]


class Images:
    """How pages' images go to servers: as files where that is possible, else within the requests."""

    def __init__(self) -> None:
        self._no_files_until = 0.0

    @asynccontextmanager
    async def sent(
        self,
        page: EncodedPage,
        capabilities: Capabilities,
        endpoint: Endpoint,
        on_sent: Callable[[], None],
        *,
        files: bool = True,
    ) -> AsyncIterator[SentImage]:
        """What to send for the image; a file is there as long as the context is open.

        :param page: the page.
        :param capabilities: what the server can do.
        :param endpoint: where it is; it need not be the one that the page was made ready for.
        :param on_sent: called when the server has what it needs of the page.
        :param files: whether it may go as a file.
        """
        async with AsyncExitStack() as stack:
            url = page.image_url
            if url is None and files:
                file = await self._file(stack, page, capabilities, endpoint, on_sent)
                if file is not None:
                    yield SentImage(file, lambda: None)
                    return
            if url is None:
                url = await run_in_daemon_thread(
                    lambda: _data_url(page.request, capabilities, endpoint)
                )
            yield SentImage(url, on_sent)

    async def _file(
        self,
        stack: AsyncExitStack,
        page: EncodedPage,
        capabilities: Capabilities,
        endpoint: Endpoint,
        on_taken: Callable[[], None],
    ) -> bytes | None:
        socket, theirs = endpoint.socket_path, capabilities.page_directory
        if socket is None or theirs is None or time.monotonic() < self._no_files_until:
            return None
        directory, limit = page_directory(socket), capabilities.max_body_bytes
        file = page_file(page.request.image, directory, limit=limit, on_taken=on_taken)
        try:
            name = await stack.enter_async_context(file)
        except PageTooLargeError:
            return None  # which the server will say, as to everybody
        except OSError as error:
            # With a server that is gone its directory is; the request will find that out.
            there = not isinstance(error, FileNotFoundError) or socket.exists()
            # Others were being written at the same time.
            if there and time.monotonic() >= self._no_files_until:
                self._no_files_until = time.monotonic() + _NO_FILES_S
                log.warning(
                    "For the next %.0f s pages go to the server within requests, which is slower: nothing "
                    "can be written to %s (%s).",
                    _NO_FILES_S,
                    directory,
                    error.strerror or error,
                )
            return None
        return f"{theirs}/{name}".encode()


def request_body(
    page: EncodedPage,
    image_url: bytes,
    capabilities: Capabilities,
    decoding: Decoding,
    table_cells: tuple[int, ...],
) -> tuple[bytes, ...]:
    """The chat completion to ask for, in pieces to be sent one after the other.

    The image is not copied: it has megabytes, and all pages' requests are written in one thread.

    :param page: the page.
    :param image_url: of its image.
    :param capabilities: what the server can do.
    :param decoding: how text is generated where the page's request says nothing of it.
    :param table_cells: ids of tokens that the guard lets repeat.
    """
    request = page.request
    most = min(decoding.max_output_length, request.max_output_length or decoding.max_output_length)
    no_repeat_ngram = request.no_repeat_ngram or decoding
    if capabilities.context_length is not None and capabilities.version is None:
        # vLLM refuses what exceeds its context; a line has at most a token for each byte.
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
    before, _, after = json.dumps(body, separators=(",", ":")).partition(_NO_IMAGE)
    return (before + _NO_IMAGE[:-1]).encode(), image_url, ('"' + after).encode()


def reading_of(
    page: EncodedPage, content: bytes, seconds: float, capabilities: Capabilities
) -> PageOutput:
    """The reading in a server's answer; one with the error ``server_answer`` where there is none.

    :param page: the page that was sent.
    :param content: the answer's body.
    :param seconds: time it took, for a server that does not tell.
    :param capabilities: what the server can do.
    """
    request = page.request
    try:
        answer = httpx.Response(200, content=content).json()
        choice, usage = answer["choices"][0], answer.get("usage") or {}
        details, own = usage.get("prompt_tokens_details") or {}, answer.get(OWN) or {}
        vision = details.get("image_tokens")
        if vision is None:
            vision = capabilities.vision_tokens(request.resolution, *page.size)
        return PageOutput(
            key=request.key,
            text=str(choice["message"]["content"] or "").removesuffix(END_OF_TEXT),
            finish_reason=FinishReason(choice["finish_reason"]),
            vision_tokens=int(vision),
            prompt_tokens=int(usage.get("prompt_tokens", 0)),
            text_tokens=int(usage.get("completion_tokens", 0)),
            seconds=float(own.get("seconds", seconds)),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        return PageOutput(
            key=request.key,
            error=UnavailableError(
                ErrorCode.SERVER_RESPONSE,
                f"The server's answer is no chat completion ({type(error).__name__}). Is it an "
                "OpenAI-compatible server with DeepSeek-OCR?",
            ),
        )
