"""Validation of chat completion requests, and the page in them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image
from pydantic import BaseModel, Field, ValidationError

from airflow_deepseek_ocr.engines.protocol.chat_completions import Capabilities, prompt_of_line
from airflow_deepseek_ocr.engines.protocol.page_files import PageFileTooLargeError
from airflow_deepseek_ocr.engines.protocol.request_errors import RequestErrorCode
from airflow_deepseek_ocr.engines.protocol.token_logprobs import MOST_TOP_LOGPROBS
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model_server.received_page_files import ReceivedPageFiles
from airflow_deepseek_ocr.ocr.decoding import NoRepeatNgram
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.prompts import PROMPTS, prompt_line

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
#: Longest text line, in characters: ``locate:TEXT`` is the only prompt with a text of the client.
_MAX_LINE = 1000


class RequestError(Exception):
    """A refused request.

    :param status: HTTP status.
    :param code: error code.
    :param message: the fault, and the remedy.
    """

    def __init__(self, status: int, code: RequestErrorCode | ErrorCode, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class AskedProbabilities:
    """The form in which a client asks for log-probabilities of tokens.

    :param top: tokens at each position, in OpenAI's form; None for the compact form.
    """

    top: int | None


@dataclass(frozen=True)
class ParsedPage:
    """A requested page; see :class:`~airflow_deepseek_ocr.ocr.engine_protocol.PageRequest`.

    An image without color has one channel, as many pages wait and take a third of the memory then.
    """

    image: Image.Image
    prompt: str
    resolution: str
    max_tokens: int | None
    no_repeat_ngram: NoRepeatNgram | None = None
    probabilities: AskedProbabilities | None = None


class _Url(BaseModel):
    url: str


class _Part(BaseModel):
    type: Literal["text", "image_url"]
    text: str | None = Field(None, max_length=_MAX_LINE)
    image_url: _Url | None = None


class _Message(BaseModel):
    role: Literal["user"]
    content: list[_Part] = Field(min_length=2, max_length=2)


class _ProcessorOptions(BaseModel):
    resolution: str | None = None


class _NoRepeatNgram(BaseModel):
    ngram_size: int
    window_size: int | None = None


class _OwnOptions(BaseModel):
    token_probabilities: bool = False


class _Body(BaseModel):
    model: str
    messages: list[_Message] = Field(min_length=1, max_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=0)
    n: int | None = Field(None, ge=1, le=1)
    stream: Literal[False] | None = None
    ignore_eos: bool | None = None
    skip_special_tokens: Literal[False] | None = None
    mm_processor_kwargs: _ProcessorOptions | None = None
    vllm_xargs: _NoRepeatNgram | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MOST_TOP_LOGPROBS)
    deepseek_ocr: _OwnOptions | None = None


def parse_page(
    raw: bytes | bytearray,
    server: Capabilities,
    default_resolution: str,
    files: ReceivedPageFiles | None = None,
) -> ParsedPage:
    """Return the page that a request asks for.

    :param raw: the request's body.
    :param server: capabilities of this server.
    :param default_resolution: resolution mode of requests that name none.
    :param files: page files of clients on this host; None to accept none.
    :raises RequestError: 400, 404 or 413.
    """
    try:
        body = _Body.model_validate_json(raw)
    except ValidationError as error:
        # The message quotes nothing of the input, which may be anything, of any size.
        first: Any = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise _refused(RequestErrorCode.BAD_REQUEST, f"{where}: {first['msg']}") from None
    if body.model != server.model:
        raise RequestError(
            404, RequestErrorCode.MODEL_NOT_FOUND, f"This server serves {server.model!r} only."
        )
    if body.ignore_eos and not server.ignores_end:
        raise _refused(ErrorCode.SERVER_END, "ignore_eos needs a server started with --ignore-end.")
    options = body.mm_processor_kwargs
    resolution = (options and options.resolution) or default_resolution
    if resolution not in server.modes:
        raise _refused(
            ErrorCode.SERVER_MODE,
            f"Modes in mm_processor_kwargs.resolution: {', '.join(server.modes)}.",
        )
    line, url = _line_and_url(body.messages[0].content)
    return ParsedPage(
        image=decode_image(page_content(url, files)),
        prompt=_prompt(line),
        resolution=resolution,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        no_repeat_ngram=_no_repeat_ngram(body.vllm_xargs, server),
        probabilities=_probabilities(body, server),
    )


def _probabilities(body: _Body, server: Capabilities) -> AskedProbabilities | None:
    compact = body.deepseek_ocr is not None and body.deepseek_ocr.token_probabilities
    if body.top_logprobs and not body.logprobs:
        raise _refused(RequestErrorCode.BAD_REQUEST, "top_logprobs needs logprobs: true.")
    if not compact and not body.logprobs:
        return None
    if not server.token_probabilities:
        raise _refused(
            RequestErrorCode.BAD_REQUEST, "This server returns no log-probabilities of tokens."
        )
    return AskedProbabilities(None if compact else body.top_logprobs or 0)


def _no_repeat_ngram(
    requested: _NoRepeatNgram | None, server: Capabilities
) -> NoRepeatNgram | None:
    """Return the page's constraint; None if the request asks for the server's, or for none."""
    if requested is None or server.no_repeat_ngram is None:
        return None
    size, window = server.no_repeat_ngram
    wanted = requested.ngram_size, requested.window_size or window
    if wanted == (size, window):
        return None
    try:
        return NoRepeatNgram(*wanted)
    except ConfigurationError as error:
        raise _refused(
            ErrorCode.SERVER_NO_REPEAT_NGRAM,
            f"{error} Without vllm_xargs it is {size} in {window}.",
        ) from None


def _line_and_url(parts: list[_Part]) -> tuple[str, str]:
    lines = [part.text for part in parts if part.type == "text" and part.text]
    urls = [part.image_url.url for part in parts if part.type == "image_url" and part.image_url]
    if len(lines) != 1 or len(urls) != 1:
        raise _refused(
            RequestErrorCode.BAD_REQUEST, "content must hold one text and one image_url."
        )
    return lines[0], urls[0]


def _prompt(line: str) -> str:
    name = prompt_of_line(line)
    if name is None:
        raise _refused(
            ErrorCode.SERVER_PROMPT,
            "The text must be one of the lines the model was trained with: "
            + "; ".join(prompt.template.format(text="TEXT") for prompt in PROMPTS.values()),
        )
    try:
        prompt_line(name)
    except ConfigurationError as error:
        raise _refused(error.code, str(error)) from error
    return name


def page_content(url: str, files: ReceivedPageFiles | None) -> bytes:
    """Return the bytes of the image file in a data URL, or in a page file.

    :param url: as the client sent it.
    :param files: page files of clients on this host; None to accept none.
    :raises RequestError: ``no_page_file``, ``bad_image``; ``request_too_large`` (413).
    """
    if files is not None and url.startswith("file:"):
        try:
            content = files.take(url)
        except PageFileTooLargeError:
            raise RequestError(
                413,
                RequestErrorCode.REQUEST_TOO_LARGE,
                "The page's file is larger than the server accepts (--max-body-mb).",
            ) from None
        if content is None:
            raise _refused(
                RequestErrorCode.NO_PAGE_FILE, "The server's page directory has no such file."
            )
        return content
    head, comma, data = url.partition(",")
    if not (comma and head.startswith("data:image/") and head.endswith(";base64")):
        raise _refused(
            RequestErrorCode.BAD_IMAGE,
            "image_url must be data:image/...;base64,...; addresses are not fetched.",
        )
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:
        raise _refused(
            RequestErrorCode.BAD_IMAGE, "The text after base64, is not base64."
        ) from error


def decode_image(content: bytes) -> Image.Image:
    """Return the image in a PNG, JPEG, WebP or BMP file: one channel if the file has one, otherwise RGB.

    :raises RequestError: ``bad_image``.
    """
    limit = Limits().max_pixels
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
        if image.width * image.height > limit:
            raise _refused(RequestErrorCode.BAD_IMAGE, f"The image has more than {limit:,} pixels.")
        if image.mode not in ("L", "RGB"):
            return image.convert("RGB")
        # Pillow would copy an RGB image.
        image.load()
        return image
    except RequestError:
        raise
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise _refused(
            RequestErrorCode.BAD_IMAGE,
            f"The image is not one of {', '.join(_FORMATS)}, or damaged.",
        ) from error


def _refused(code: RequestErrorCode | ErrorCode, message: str) -> RequestError:
    return RequestError(400, code, message)
