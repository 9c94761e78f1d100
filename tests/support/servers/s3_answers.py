"""A small S3 that answers as it is told: states that no S3 server which runs here can be brought into."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import boto3
from botocore.config import Config

ETAG = '"0123456789abcdef0123456789abcdef"'
_MODIFIED = "2026-01-02T03:04:05.000Z"


@dataclass(frozen=True)
class Answer:
    """An object.

    :param content: its content.
    :param status: HTTP status of a request for it; other than 200 an error.
    :param code: S3's code of the error.
    :param message: S3's words.
    :param listed: elements of XML in its entry of a listing.
    """

    content: bytes = b"content"
    status: int = 200
    code: str = ""
    message: str = "Something happened"
    listed: str = ""


@dataclass(frozen=True)
class Request:
    """A request that came.

    :param host: the host that it is for.
    :param key: key of an object; empty for a listing.
    :param headers: by name in lower case.
    """

    host: str
    key: str
    headers: Mapping[str, str]


@dataclass
class S3Answers:
    """The server and what was asked of it.

    :ivar objects: by key; may be changed while it runs. An error with the key "" answers listings.
    """

    port: int
    objects: dict[str, Answer]
    requests: list[Request] = field(default_factory=list)

    @property
    def client_config(self) -> dict[str, Any]:
        """Arguments of botocore's Config: the server is the proxy, so any host name leads to it."""
        return {
            "proxies": {"http": f"http://127.0.0.1:{self.port}"},
            "retries": {"total_max_attempts": 1},
        }

    def client(self) -> Any:
        """Return a boto3 S3 client of the server."""
        return boto3.client(
            "s3",
            endpoint_url="http://s3.test",
            region_name="eu-west-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(**self.client_config),
        )


@contextmanager
def s3_answers(objects: Mapping[str, Answer]) -> Iterator[S3Answers]:
    """Run the server."""
    state = S3Answers(0, dict(objects))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, state)

        def log_message(self, *arguments: Any) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, state: S3Answers) -> None:
    url = urlsplit(handler.path)
    query = parse_qs(url.query)
    key = unquote(url.path).lstrip("/")
    # The bucket is the first part of the path, unless the host names the access point.
    if url.netloc == "s3.test":
        key = key.partition("/")[2]
    headers = {name.lower(): value for name, value in handler.headers.items()}
    state.requests.append(Request(url.netloc, key, headers))
    found = state.objects.get(key)
    if found is None and not key:
        _send(handler, 200, _listing(state, query.get("prefix", [""])[0]))
    elif found is None:
        _send(handler, 404, _error("NoSuchKey", "The specified key does not exist."))
    elif found.status != 200:
        _send(handler, found.status, _error(found.code, found.message))
    else:
        _send(handler, 200, found.content)


def _listing(state: S3Answers, prefix: str) -> bytes:
    entries = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>{_MODIFIED}</LastModified>"
        f"<ETag>{escape(ETAG)}</ETag><Size>{len(found.content)}</Size>{found.listed}</Contents>"
        for key, found in sorted(state.objects.items())
        if key.startswith(prefix)
    )
    return (
        f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()
    )


def _error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>".encode()


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.send_header("ETag", ETAG)
    handler.send_header("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
    handler.end_headers()
    handler.wfile.write(body)
