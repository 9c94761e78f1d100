"""What servers answer, and what their refusals mean."""

from __future__ import annotations

import httpx

from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError

#: Largest answer, in bytes: 8,192 tokens have less than a tenth.
_MOST_ANSWER_BYTES = 16 << 20
#: Shown of what a server says.
_MOST_MESSAGE = 300


async def content_of(response: httpx.Response) -> bytes:
    """An answer's body.

    :raises httpx.TransportError: the connection broke, or it is larger than any page's text.
    """
    parts, size = [], 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > _MOST_ANSWER_BYTES:
            raise httpx.ReadError("The answer is too large.")
        parts.append(part)
    return b"".join(parts)


def said_in(content: bytes) -> tuple[str | None, str]:
    """(code, message) of an error in OpenAI's words; whatever it is in other words."""
    try:
        error = httpx.Response(200, content=content).json()["error"]
        return error.get("code"), str(error["message"])[:_MOST_MESSAGE]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, content[:_MOST_MESSAGE].decode(errors="replace")


def retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks to wait; 0 if it does not say."""
    try:
        return max(0.0, float(response.headers.get("retry-after", 0)))
    except ValueError:
        return 0.0


def unreachable(endpoint: Endpoint, error: Exception) -> UnavailableError:
    """The error of a server that there is no connection to, or that does not answer."""
    if isinstance(error, httpx.ReadTimeout):
        return UnavailableError(
            ErrorCode.SERVER_UNREACHABLE,
            f"{endpoint.socket_path or endpoint.url} did not answer in time. Is it busy, or is another "
            "program at host and port of the connection?",
        )
    return UnavailableError(
        ErrorCode.SERVER_UNREACHABLE,
        f"No connection to {endpoint.socket_path or endpoint.url} ({type(error).__name__}). Is the "
        "server running, and are host and port of the connection right?",
    )
