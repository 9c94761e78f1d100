"""Command-line options of the address that a server listens on, and their rules."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_deepseek_ocr.engines.protocol.endpoint import LOOPBACK
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model_server.listen_address import PRIVATE_SOCKET, ListenAddress

if TYPE_CHECKING:
    from airflow_deepseek_ocr.model_server.server_tls import ServerTls

log = logging.getLogger(__name__)

#: Port of ``serve``; vLLM's default is 8000.
DEFAULT_PORT = 8808
#: Permissions of a Unix socket: for the server's user, or for its group as well.
_SOCKET_MODES = ("600", "660")


def add_listening(serve: argparse.ArgumentParser) -> None:
    """Add the options of the address and of TLS.

    :param serve: parser of the command.
    """
    # Named unlike the connection's host: settings with a host are those of a remote server.
    serve.add_argument(
        "--host",
        dest="listen_host",
        metavar="ADDRESS",
        help=f"IP address or host name to listen on (default: {LOOPBACK}, this host only); "
        "others need TLS or --plain-http",
    )
    address = serve.add_mutually_exclusive_group()
    address.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help=f"port; 0 picks a free one (default: {DEFAULT_PORT})",
    )
    address.add_argument("--socket", type=Path, help="path of a Unix socket instead of a port")
    serve.add_argument(
        "--socket-mode",
        choices=_SOCKET_MODES,
        help="permissions of the socket; 660 lets the group of its directory connect (default: 600)",
    )
    serve.add_argument(
        "--tls-certificate",
        type=Path,
        metavar="FILE",
        help="PEM file with the server's certificate and the intermediate ones",
    )
    serve.add_argument(
        "--tls-key",
        type=Path,
        metavar="FILE",
        help="PEM file with the certificate's private key, closed to other users",
    )
    serve.add_argument(
        "--plain-http",
        action="store_true",
        help="listen beyond this host without TLS: pages and API key can be read on the way",
    )


def listen_address(options: argparse.Namespace) -> ListenAddress:
    """Return the address that the options name.

    :param options: parsed options of :func:`add_listening`.
    :raises ConfigurationError: ``server_address`` if the options contradict each other, the host has no
        address, or an address beyond this host lacks both TLS and ``--plain-http``.
    """
    tls = options.tls_certificate is not None, options.tls_key is not None
    if any(tls) and not all(tls):
        raise _refused("Give --tls-certificate and --tls-key together, or neither.")
    if options.plain_http and all(tls):
        raise _refused("--plain-http and --tls-certificate exclude each other. Leave one out.")
    if options.socket is not None:
        if options.listen_host or any(tls) or options.plain_http:
            raise _refused(
                "A Unix socket has neither host nor TLS. Leave out --host, --tls-certificate, --tls-key and "
                "--plain-http, or leave out --socket."
            )
        mode = int(options.socket_mode, 8) if options.socket_mode else PRIVATE_SOCKET
        return ListenAddress(socket_path=options.socket.absolute(), socket_mode=mode)
    if options.socket_mode:
        raise _refused("--socket-mode needs --socket. Leave it out, or give the socket's path.")
    if not 0 <= options.port < 1 << 16:
        raise _refused(f"--port is {options.port}; it must be from 0 to 65535.")
    address = ListenAddress(host=options.listen_host or LOOPBACK, port=options.port).resolve()
    if not address.loopback and not all(tls):
        if not options.plain_http:
            raise _refused(
                f"Other hosts can reach {address}. Give --tls-certificate and --tls-key; or --plain-http if "
                "pages and API key may be read on the way."
            )
        log.warning(
            "The server listens on %s without TLS: pages and API key can be read on the way.",
            address,
        )
    return address


def server_tls(options: argparse.Namespace) -> ServerTls | None:
    """Return the server's TLS; None for plain HTTP.

    :param options: parsed options of :func:`add_listening`.
    :raises ConfigurationError: ``server_tls`` if certificate or key cannot be used.
    """
    if options.tls_certificate is None:
        return None
    from airflow_deepseek_ocr.model_server.server_tls import ServerTls, TlsFiles

    return ServerTls(TlsFiles(certificate=options.tls_certificate, key=options.tls_key))


def _refused(message: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.SERVER_ADDRESS, message)
