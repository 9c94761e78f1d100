"""Errors of connections to a server: a server that is away, a socket that is none, TLS that fails."""

from __future__ import annotations

import errno
import os
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx

from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import (
    ConfigurationError,
    DeepSeekOCRError,
    ErrorCode,
    ServerUnreachableError,
)

#: OpenSSL's results of a verification (``x509_vfy.h``), and the remedy of each.
_TRUST = (
    "It is not signed by an authority that this host trusts. Set the connection's CA certificates to the "
    "authority's certificate."
)
_NAME = (
    "It is for another name. Use a host that the certificate names, or issue one that names this host (an IP "
    "address counts as a name of its kind)."
)
_CERTIFICATE_REMEDIES = {
    9: "It is not valid yet. Check the clocks of both hosts.",
    10: "It has expired. Renew it on the server.",
    18: _TRUST,
    19: _TRUST,
    20: _TRUST,
    21: _TRUST,
    62: _NAME,
    64: _NAME,
}
#: OpenSSL's reasons for an answer that is no TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")


def connection_error(endpoint: Endpoint, error: httpx.TransportError) -> DeepSeekOCRError:
    """Return the error for a server that accepts no connection, or does not respond.

    :param endpoint: the server.
    :param error: the fault of the connection.
    :return: ``ServerUnreachableError``, which may be gone at the next try; or ``ConfigurationError``:
        ``server_tls``, or ``server_address`` for a path that is no usable socket.
    """
    where = endpoint.address
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return _tls_error(where, cause)
    if isinstance(error, httpx.ReadTimeout):
        return ServerUnreachableError(
            f"{where} did not respond in time. Is it busy, or is another program at host and port of the "
            "connection?"
        )
    if endpoint.socket_path is not None:
        return _socket_error(endpoint.socket_path, error)
    if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError)) and not endpoint.tls:
        return ServerUnreachableError(
            f"{where} closed the connection without a response. If the server uses TLS, the connection's "
            "host must begin with https://; otherwise see the server's log."
        )
    return ServerUnreachableError(
        f"No connection to {where} ({type(error).__name__}). Is the server running, and are host and port "
        "of the connection right?"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and what it was raised from: httpx hides the kernel's and OpenSSL's errors."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def _tls_error(where: str, error: ssl.SSLError) -> ConfigurationError:
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = _CERTIFICATE_REMEDIES.get(error.verify_code, "Replace it on the server.")
        message = f"The certificate of {where} is not accepted: {error.verify_message.rstrip('.')}. {remedy}"
    elif error.reason in _NO_TLS:
        message = (
            f"{where} does not speak TLS. Write http:// in the connection's host if the network is trusted, "
            "or start the server with --tls-certificate and --tls-key."
        )
    else:
        message = (
            f"TLS with {where} fails ({error.reason or error}). The server must support TLS 1.2 or later; "
            "see its log."
        )
    return ConfigurationError(ErrorCode.SERVER_TLS, message)


def _socket_error(path: Path, error: httpx.TransportError) -> DeepSeekOCRError:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ServerUnreachableError(
            f"There is no socket {path} on this host. Start the server (airflow-deepseek-ocr serve MODEL "
            "--socket PATH), or mount the socket's directory here."
        )
    except OSError as problem:
        return _unusable(f"The socket {path} cannot be reached: {problem.strerror or problem}")
    if not stat.S_ISSOCK(mode):
        return ConfigurationError(
            ErrorCode.SERVER_ADDRESS,
            f"{path} is no socket. Set the connection's host to the socket of the server.",
        )
    if any(isinstance(each, OSError) and each.errno == errno.EACCES for each in _causes(error)):
        return _unusable(f"The socket {path} cannot be used: {os.strerror(errno.EACCES)}")
    return ServerUnreachableError(
        f"No server listens at the socket {path} ({type(error).__name__}). Start it again; the file is left "
        "of one that ended."
    )


def _unusable(message: str) -> ConfigurationError:
    return ConfigurationError(
        ErrorCode.SERVER_ADDRESS,
        f"{message}. Run server and client as the same user, or start the server with --socket-mode 660 and "
        "a group that both are in.",
    )
