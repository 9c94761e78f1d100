"""Errors of connections that the kernel or OpenSSL refuses, of synchronous and asynchronous clients."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from airflow_deepseek_ocr.engines.http.connection_errors import connection_error
from airflow_deepseek_ocr.engines.protocol.endpoint import SOCKET_URL, Endpoint
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    ErrorCode,
    ServerUnreachableError,
)
from tests.support.certificates import Authority
from tests.support.fakes.another_user import as_another_user
from tests.support.fakes.tls_server import answering_server
from tests.support.servers.process import free_port

TIMEOUT = httpx.Timeout(5)


def get(endpoint: Endpoint) -> httpx.Response:
    with endpoint.client(TIMEOUT) as client:
        return client.get("/")


async def get_async(endpoint: Endpoint) -> httpx.Response:
    async with endpoint.async_client(TIMEOUT, 1) as client:
        return await client.get("/")


def failure(endpoint: Endpoint) -> DeepSeekOCRError:
    """Return the error of a request, which is the same for both kinds of client."""
    with pytest.raises(httpx.TransportError) as sync:
        get(endpoint)
    with pytest.raises(httpx.TransportError) as other:
        asyncio.run(get_async(endpoint))
    first, second = (connection_error(endpoint, caught.value) for caught in (sync, other))
    assert (type(first), str(first)) == (type(second), str(second))
    return first


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


Serve = Callable[..., Endpoint]


@pytest.fixture
def serve(authority: Authority) -> Iterator[Serve]:
    """Start a server with these contexts, and return the endpoint of a client that trusts the authority."""
    with ExitStack() as stack:

        def start(context: ssl.SSLContext | None, *, scheme: str = "https") -> Endpoint:
            port = stack.enter_context(answering_server(context))
            trusted = authority.path if scheme == "https" else None
            return Endpoint(f"{scheme}://127.0.0.1:{port}", ca_certificates=trusted)

        yield start


def context_of(
    authority: Authority, *names: str, days: tuple[float, float] = (-1, 30)
) -> ssl.SSLContext:
    """Return a context of files that the server itself would refuse."""
    files = authority.issue(*names, days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


def test_a_certificate_of_the_connections_authority_is_trusted(
    authority: Authority, serve: Serve
) -> None:
    endpoint = serve(context_of(authority, "127.0.0.1"))
    assert get(endpoint).text == asyncio.run(get_async(endpoint)).text == "ok"


@pytest.mark.parametrize(
    ("names", "days", "message"),
    [
        (["127.0.0.1"], (-3, -1), "has expired. Renew it"),
        (["127.0.0.1"], (1, 3), "Check the clocks"),
        (["127.0.0.2"], (-1, 30), "is for another name"),
        (["ocr.example.com"], (-1, 30), "is for another name"),
    ],
)
def test_a_certificate_that_does_not_fit(
    authority: Authority,
    serve: Serve,
    names: list[str],
    days: tuple[float, float],
    message: str,
) -> None:
    endpoint = serve(context_of(authority, *names, days=days))
    error = failure(endpoint)
    assert isinstance(error, ConfigurationError), "another attempt would fail as well"
    assert error.code is ErrorCode.SERVER_TLS
    assert f"The certificate of {endpoint.url} is not accepted" in str(error)
    assert message in str(error)


def test_a_certificate_of_another_authority(tmp_path: Path, serve: Serve) -> None:
    error = failure(serve(context_of(Authority(tmp_path, "other"), "127.0.0.1")))
    assert error.code is ErrorCode.SERVER_TLS
    assert "Set the connection's CA certificates" in str(error)


def test_the_systems_authorities_do_not_know_a_private_one(
    authority: Authority, serve: Serve
) -> None:
    url = serve(context_of(authority, "127.0.0.1")).url
    assert "Set the connection's CA certificates" in str(failure(Endpoint(url)))


def test_plain_http_where_tls_is_expected_and_the_reverse(
    authority: Authority, serve: Serve
) -> None:
    error = failure(serve(None))
    assert error.code is ErrorCode.SERVER_TLS
    assert "does not speak TLS. Write http://" in str(error)
    error = failure(serve(context_of(authority, "127.0.0.1"), scheme="http"))
    assert isinstance(error, ServerUnreachableError)
    assert "must begin with https://" in str(error)


def test_a_version_of_tls_that_is_too_old(authority: Authority, serve: Serve) -> None:
    context = context_of(authority, "127.0.0.1")
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    error = failure(serve(context))
    assert error.code is ErrorCode.SERVER_TLS
    assert "TLS 1.2 or later" in str(error)


def test_a_server_that_is_away_may_return(authority: Authority) -> None:
    url = f"https://127.0.0.1:{free_port()}"
    error = failure(Endpoint(url, ca_certificates=authority.path))
    assert isinstance(error, ServerUnreachableError)
    assert f"No connection to {url} (ConnectError)" in str(error)


def test_a_server_that_ends_during_the_handshake_may_return(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:

        def accept() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.recv(10_000)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        stack.callback(thread.join)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        error = failure(Endpoint(url, ca_certificates=authority.path))
    assert isinstance(error, ServerUnreachableError)


def at(path: Path) -> Endpoint:
    return Endpoint(SOCKET_URL, socket_path=path)


def test_a_socket_that_is_missing_or_left_over(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    error = failure(at(path))
    assert isinstance(error, ServerUnreachableError)
    assert f"There is no socket {path} on this host. Start the server" in str(error)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    error = failure(at(path))
    assert isinstance(error, ServerUnreachableError)
    assert f"No server listens at the socket {path} (ConnectError)" in str(error)


def test_a_path_that_is_no_socket(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path, message in ((file, "is no socket"), (tmp_path, "is no socket")):
        error = failure(at(path))
        assert isinstance(error, ConfigurationError)
        assert error.code is ErrorCode.SERVER_ADDRESS
        assert message in str(error)
    assert "There is no socket" in str(failure(at(file / "s.sock")))


@pytest.mark.skipif(os.geteuid() != 0, reason="another user needs root")
def test_a_socket_of_another_user(tmp_path: Path) -> None:
    path, closed = Path(f"/tmp/ocr-test-{os.getpid()}.sock"), tmp_path / "closed"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o600)
        server.listen()
        try:
            said = as_another_user(
                {
                    "socket": lambda: str(failure(at(path))),
                    "directory": lambda: str(failure(at(closed / "s.sock"))),
                }
            )
        finally:
            path.unlink()
    assert f"The socket {path} cannot be used: Permission denied. Run server" in said["socket"]
    assert "cannot be reached: Permission denied. Run server" in said["directory"]
