"""The address of a server, from the spellings of a connection's host and port."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode

#: Beginning of a Unix socket's address in the connection and in messages.
UNIX_SCHEME = "unix://"
#: Longest path of a Unix socket on Linux, in bytes (``unix(7)``: ``sun_path`` has 108, one for the end).
MAX_SOCKET_PATH = 107
#: Ports that mean none for a socket: the Test button of Airflow 3.3.2 needs a port, and earlier versions of
#: this package asked for 1.
_NO_SOCKET_PORTS = (None, 0, 1)
_MAX_PORT = 65535
#: Other spellings of sockets, as in Docker, requests-unixsocket and nginx.
_SOCKET_LIKE = ("unix:", "http+unix:", "unix+http:", "https+unix:", "file:", "ipc:")
#: Ends of a URL that are copied from other clients' settings.
_ENDINGS = ("/v1/chat/completions", "/v1/models", "/v1")
_SPACE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME_WITHOUT_SLASHES = re.compile(r"https?:(?!//)(?!\d+(/|$))", re.IGNORECASE)
#: A name or an IPv4 address; names of other scripts are encoded by the HTTP client.
_NAME = re.compile(r"[^\W](?:[\w.-]*[^\W])?\.?")
_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::(.*))?")
#: Longest name (RFC 1035).
_MAX_NAME = 253


@dataclass(frozen=True)
class ServerAddress:
    """The address of a server.

    :param url: scheme, host, port and path without ``/v1``; empty for a socket.
    :param socket_path: Unix socket; None for TCP.
    """

    url: str
    socket_path: Path | None = None


def split_hosts(host: str) -> tuple[str, ...]:
    """Return the servers that a connection's host lists, each once.

    :param host: one server, or several separated by commas; see :func:`parse_server_address`.
    :raises ConfigurationError: ``connection`` if it consists of commas.
    """
    found = tuple(dict.fromkeys(each.strip() for each in host.split(",") if each.strip()))
    if host.strip() and not found:
        raise _invalid("lists no server between its commas. Write their names, or empty it.")
    return found


def parse_server_address(host: str, port: int | None) -> ServerAddress:
    """Return the address that a connection's host and port mean.

    No message quotes the host: it may hold a password where none is expected.

    :param host: a name, an IP address (IPv6 with or without brackets), ``name:port``, ``http://...``,
        ``https://...``, or ``unix:///path``.
    :param port: the connection's port; None and 0 mean none.
    :raises ConfigurationError: ``connection`` if it is none of these, holds a login, or names two ports.
    """
    text = host.strip()
    if text.lower().startswith(_SOCKET_LIKE) or (text[:1] == "/" and text[:2] != "//"):
        return ServerAddress("", _socket_path(text, port))
    scheme, rest = _scheme(text)
    if "@" in rest or "%40" in rest:
        raise _invalid(
            "holds a user name or a password. Enter them as login and password, and remove them from the "
            "host."
        )
    if "?" in rest or "#" in rest:
        raise _invalid(
            "has a query or a fragment (? or #). Remove it; the password has its own field."
        )
    authority, slash, path = rest.partition("/")
    name, own_port = _split(authority)
    path = f"{slash}{path}".rstrip("/")
    for ending in _ENDINGS:
        path = path.removesuffix(ending)
    number = _port(own_port, port)
    name = f"[{name}]" if ":" in name else name
    return ServerAddress(f"{scheme}://{name}{number}{path.rstrip('/')}")


def _scheme(text: str) -> tuple[str, str]:
    """Return the scheme and the rest of a URL, or of a text without a scheme."""
    if _SPACE_OR_CONTROL.search(text) or "\\" in text:
        raise _invalid("has a space, a backslash or a control character. Remove it.")
    if _SCHEME_WITHOUT_SLASHES.match(text):
        raise _invalid("has http: or https: without two slashes. Write http:// or https://.")
    scheme, found, rest = text.partition("://")
    if not found:
        return "http", text.removeprefix("//")
    if scheme.lower() not in ("http", "https"):
        raise _invalid(
            "must be a name, an IP address, http://..., https://... or unix:///path/of/socket."
        )
    return scheme.lower(), rest


def _split(authority: str) -> tuple[str, str]:
    """Return the name or address, without brackets, and the text of the port."""
    if authority.startswith("["):
        match = _BRACKETS.fullmatch(authority)
        if match is None:
            raise _invalid("has a bracket without its pair. Write an IPv6 address as [::1].")
        return _ipv6(match[1]), match[2] or ""
    if authority.count(":") > 1:
        return _ipv6(authority), ""
    name, _, port = authority.partition(":")
    if not name:
        raise _invalid(
            "has no name before its port or path. Write the server's name or IP address."
        )
    try:
        # Refuses labels that are empty or too long.
        name[: _MAX_NAME + 1].encode("idna")
        valid = bool(_NAME.fullmatch(name))
    except UnicodeError:
        valid = False
    if not valid or len(name) > _MAX_NAME:
        raise _invalid(
            "is no name or IP address. Names consist of letters, digits, hyphens and dots."
        )
    return name, port


def _ipv6(text: str) -> str:
    text = text.replace("%25", "%")
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        raise _invalid(
            "has several colons and is no IPv6 address. Write an address with a port as [::1]:8808, and the "
            "port only once."
        ) from None
    if "/" in text or ("%" in text and not re.fullmatch(r"[\w.-]+", text.partition("%")[2])):
        raise _invalid("has an IPv6 address with a zone that is no interface's name.")
    return text


def _port(own: str, given: int | None) -> str:
    """Return the port with its colon, or an empty text."""
    if own and not (own.isascii() and own.isdigit() and len(own) <= 5):
        raise _invalid(
            "has a port that is no number. Write name:8808, or empty it there and enter Port."
        )
    ports = {int(own)} if own else set()
    if given:
        ports.add(given)
    if any(not 1 <= each <= _MAX_PORT for each in ports):
        raise _invalid(f"or Port has a port that is not between 1 and {_MAX_PORT}. Correct it.")
    if len(ports) > 1:
        raise _invalid(f"has port {own}, and Port is {given}. Empty one of them.")
    return f":{ports.pop()}" if ports else ""


def _socket_path(text: str, port: int | None) -> Path:
    scheme, path = text[: len(UNIX_SCHEME)].lower(), text[len(UNIX_SCHEME) :]
    path = path.rstrip("/")
    if scheme != UNIX_SCHEME or not path.startswith("/") or _CONTROL.search(path):
        raise _invalid(
            "names no absolute path of a socket. Write unix:// and the path, as in "
            "unix:///run/deepseek-ocr/server.sock"
        )
    if port not in _NO_SOCKET_PORTS:
        raise _invalid(f"is a Unix socket, and Port is {port}. Empty the port, or enter 0.")
    # pathlib keeps two slashes at the beginning.
    path = f"/{path.lstrip('/')}"
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise _invalid(
            f"has a path that is too long for a Unix socket ({MAX_SOCKET_PATH} bytes at most). Choose a "
            "shorter one, for server and connection."
        )
    return Path(path)


def _invalid(what: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.CONNECTION, f"The connection's host {what}")
