"""One page over HTTP: what is sent for it, and the reading in the answer."""

from __future__ import annotations

import json
from dataclasses import dataclass

import httpx

from airflow_deepseek_ocr.engines.chat import END_OF_TEXT, OWN, Capabilities, chat_request
from airflow_deepseek_ocr.engines.data_url import data_url
from airflow_deepseek_ocr.engines.endpoint import Endpoint
from airflow_deepseek_ocr.errors import UnavailableError
from airflow_deepseek_ocr.ocr.decoding import Decoding
from airflow_deepseek_ocr.ocr.engine import FinishReason, PageReading, PageRequest
from airflow_deepseek_ocr.ocr.prompts import prompt_line

#: Where the image belongs in a request that was written without one. Quotes inside of texts are escaped.
_NO_IMAGE = '"url":""'
#: Tokens of a prompt besides the image and its line: the first one, and a line end.
_PROMPT_EXTRA = 8


@dataclass(frozen=True)
class EncodedPage:
    """A page that is ready to be sent.

    :param request: what is to be read, and how.
    :param image_url: the image as a data URL, in ASCII.
    :param line: the prompt's line.
    :param size: width and height of the image in pixels.
    """

    request: PageRequest
    image_url: bytes
    line: str
    size: tuple[int, int]


def encode(request: PageRequest, capabilities: Capabilities, endpoint: Endpoint) -> EncodedPage:
    """Make a page ready to be sent: most of the work this side has with it.

    :raises ConfigurationError: ``server_mode``, ``server_prompt``: the server cannot read so.
    """
    capabilities.require(request.prompt, request.resolution)
    image_url = data_url(request.image, local=endpoint.local, limit=capabilities.max_body_bytes)
    return EncodedPage(request, image_url.encode(), prompt_line(request.prompt), request.image.size)


def request_body(
    page: EncodedPage,
    capabilities: Capabilities,
    decoding: Decoding,
    table_cells: tuple[int, ...],
) -> tuple[bytes, ...]:
    """The chat completion to ask for, in pieces to be sent one after the other.

    The image is not copied: it has megabytes, and all pages' requests are written in one thread.

    :param page: the page.
    :param capabilities: what the server can do.
    :param decoding: how text is generated where the page's request says nothing of it.
    :param table_cells: ids of tokens that the guard lets repeat.
    """
    request = page.request
    most = min(decoding.max_output_length, request.max_output_length or decoding.max_output_length)
    guard = request.guard or decoding
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
        guard=(guard.ngram_size, guard.ngram_window),
        table_cells=table_cells,
        ignore_eos=decoding.forced,
    )
    before, _, after = json.dumps(body, separators=(",", ":")).partition(_NO_IMAGE)
    return (before + _NO_IMAGE[:-1]).encode(), page.image_url, ('"' + after).encode()


def reading_of(
    page: EncodedPage, content: bytes, seconds: float, capabilities: Capabilities
) -> PageReading:
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
        return PageReading(
            key=request.key,
            text=str(choice["message"]["content"] or "").removesuffix(END_OF_TEXT),
            finish_reason=FinishReason(choice["finish_reason"]),
            vision_tokens=int(vision),
            prompt_tokens=int(usage.get("prompt_tokens", 0)),
            text_tokens=int(usage.get("completion_tokens", 0)),
            seconds=float(own.get("seconds", seconds)),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        return PageReading(
            request.key,
            error=UnavailableError(
                "server_answer",
                f"The server's answer is no chat completion ({type(error).__name__}). Is it an "
                "OpenAI-compatible server with DeepSeek-OCR?",
            ),
        )
