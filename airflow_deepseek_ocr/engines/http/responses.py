"""Bodies of responses, and the errors that failed requests mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from airflow_deepseek_ocr.engines.http.connection_errors import connection_error
from airflow_deepseek_ocr.engines.http.retries import (
    ConnectionBrokenError,
    PageFailedError,
    PageFileMissingError,
    RetryableError,
    ServerFullError,
)
from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.engines.protocol.request_errors import RequestErrorCode
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DocumentError,
    ErrorCode,
    UnavailableError,
    error_code,
)

#: Largest response, in bytes: 8,192 tokens with their log-probabilities take less than a fifth.
_MAX_BODY_BYTES = 16 << 20
#: Longest part of a server's message that is quoted, in characters.
_MAX_MESSAGE = 300
#: Error codes that are believed; those of OpenAI's API and of this package are such words.
_CODE = re.compile("[a-z0-9_]{1,64}")
#: The server refuses the API key.
UNAUTHORIZED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


async def read_body(response: httpx.Response) -> bytes:
    """Return a response's body.

    :raises httpx.TransportError: the connection broke, or the body is larger than any page's text.
    """
    parts, size = [], 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > _MAX_BODY_BYTES:
            raise httpx.ReadError("The response is too large.")
        parts.append(part)
    return b"".join(parts)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A response other than 200.

    :param endpoint: the server.
    :param status: HTTP status.
    :param code: the server's error code, if its body is an error of OpenAI's API.
    :param message: the server's message, shortened and without the API key.
    :param retry_after_s: seconds that the server asks to wait; 0 if it does not.
    :param final: the server reports that another attempt would fail as well.
    """

    endpoint: Endpoint
    status: int
    code: str | None = None
    message: str = ""
    retry_after_s: float = 0.0
    final: bool = False

    @classmethod
    def of(cls, response: httpx.Response, body: bytes, endpoint: Endpoint) -> Refusal:
        """Read a response with that body."""
        code, message = _error_in(body)
        return cls(
            endpoint=endpoint,
            status=response.status_code,
            code=code,
            message=endpoint.redact(message),
            retry_after_s=_retry_after(response),
            final=response.headers.get("x-should-retry") == "false",
        )

    @property
    def suggests_new_server(self) -> bool:
        """Whether the server may have been replaced: a managed server has another API key then."""
        return self.status in UNAUTHORIZED or (
            self.status == httpx.codes.SERVICE_UNAVAILABLE and not self.final
        )

    def __str__(self) -> str:
        return f"{self.status} {self.message}".strip()


def refusal_error(refusal: Refusal) -> Exception:
    """Return the exception for a refused page.

    :return: :class:`RetryableError`, :class:`PageFailedError`, or a ``ConfigurationError`` that concerns all
        pages (``server_api_key``, ``server_model``).
    """
    if refusal.code == RequestErrorCode.NO_PAGE_FILE:
        return PageFileMissingError(_refused(refusal).error)
    other = _server_failed if refusal.status >= 500 else _refused
    return _BY_STATUS.get(refusal.status, other)(refusal)


def transport_error(endpoint: Endpoint, error: httpx.TransportError, page_s: float) -> Exception:
    """Return the exception for a page whose request got no response.

    :param endpoint: the server.
    :param error: the fault of the connection.
    :param page_s: the page's time-out in seconds.
    """
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        failure = connection_error(endpoint, error)
        # A wrong setting concerns all pages; another attempt would fail in the same way.
        return failure if isinstance(failure, ConfigurationError) else RetryableError(failure)
    if isinstance(error, httpx.TimeoutException):
        return PageFailedError(
            UnavailableError(
                ErrorCode.SERVER_TIMEOUT,
                f"The server did not finish this page in {page_s:g} s. Choose a smaller resolution or "
                "maximum output length, or a faster device.",
            )
        )
    return ConnectionBrokenError(
        UnavailableError(
            ErrorCode.SERVER_BROKEN,
            f"The connection to the server broke while it processed this page ({type(error).__name__}); see "
            "the server's log.",
        )
    )


def api_key_refused(endpoint: Endpoint, status: int) -> ConfigurationError:
    """Return the error for a server that refuses the API key."""
    return ConfigurationError(
        ErrorCode.SERVER_API_KEY,
        f"The server at {endpoint.address} refuses the API key ({status}). Set the connection's password to "
        "the key that the server was started with.",
    )


def _api_key_refused(refusal: Refusal) -> Exception:
    return api_key_refused(refusal.endpoint, refusal.status)


def _full(refusal: Refusal) -> Exception:
    error = UnavailableError(ErrorCode.SERVER_FULL, f"The server stayed full: {refusal}")
    return ServerFullError(error, refusal.retry_after_s)


def _not_found(refusal: Refusal) -> Exception:
    return ConfigurationError(
        ErrorCode.SERVER_MODEL, f"The server has no such model or address: {refusal}"
    )


def _too_large(_: Refusal) -> Exception:
    return PageFailedError(
        DocumentError(
            ErrorCode.PAGE_TOO_LARGE,
            "The page is larger than the server accepts. Render it with fewer dpi, or raise the server's "
            "limit.",
        )
    )


def _server_failed(refusal: Refusal) -> Exception:
    if refusal.final:
        code = error_code(refusal.code, ErrorCode.SERVER_ERROR)
        return PageFailedError(UnavailableError(code, refusal.message))
    return RetryableError(
        UnavailableError(ErrorCode.SERVER_ERROR, f"The server failed on this page: {refusal}"),
        refusal.retry_after_s,
    )


def _refused(refusal: Refusal) -> PageFailedError:
    return PageFailedError(
        UnavailableError(ErrorCode.SERVER_REFUSED, f"The server refused this page: {refusal}")
    )


_BY_STATUS: Mapping[int, Callable[[Refusal], Exception]] = {
    httpx.codes.UNAUTHORIZED: _api_key_refused,
    httpx.codes.FORBIDDEN: _api_key_refused,
    httpx.codes.NOT_FOUND: _not_found,
    httpx.codes.REQUEST_ENTITY_TOO_LARGE: _too_large,
    httpx.codes.TOO_MANY_REQUESTS: _full,
}


def _error_in(body: bytes) -> tuple[str | None, str]:
    """Return (code, message) of an error of OpenAI's API; (None, the beginning) of any other body."""
    try:
        error = httpx.Response(200, content=body).json()["error"]
        code = error.get("code")
        if not (isinstance(code, str) and _CODE.fullmatch(code)):
            code = None
        return code, str(error["message"])[:_MAX_MESSAGE]
    # RecursionError: JSON that is nested without end.
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, body[:_MAX_MESSAGE].decode(errors="replace")


def _retry_after(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("retry-after", 0)))
    except ValueError:
        return 0.0
