"""The address that the options of ``serve`` name."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import pytest

from airflow_deepseek_ocr.cli.listening import (
    DEFAULT_PORT,
    add_listening,
    listen_address,
    server_tls,
)
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model_server.listen_address import ListenAddress
from tests.support.certificates import Authority

TLS = ("--tls-certificate", "c", "--tls-key", "k")


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_listening(parser)
    return parser.parse_args(arguments)


def address(*arguments: str) -> ListenAddress:
    return listen_address(parsed(*arguments))


def test_the_loopback_needs_nothing() -> None:
    assert address() == ListenAddress(host="127.0.0.1", port=DEFAULT_PORT)
    assert address("--host", "127.0.0.2", "--port", "1").host == "127.0.0.2"
    assert address("--host", "localhost").loopback
    assert address(*TLS).loopback, "TLS may be used there"


def test_a_socket_has_a_path_and_a_mode() -> None:
    assert address("--socket", "/s") == ListenAddress(socket_path=Path("/s"))
    assert address("--socket", "s", "--socket-mode", "660") == ListenAddress(
        socket_path=Path.cwd() / "s", socket_mode=0o660
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "[::]", "fd00::1"])
def test_beyond_the_loopback_tls_or_plain_http_must_be_named(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigurationError, match=r"Other hosts can reach .*--plain-http") as caught:
        address("--host", host)
    assert caught.value.code is ErrorCode.SERVER_ADDRESS
    assert not address("--host", host, *TLS).loopback
    assert caplog.messages == []
    with caplog.at_level(logging.WARNING):
        address("--host", host, "--plain-http")
    (message,) = caplog.messages
    assert "pages and API key can be read on the way" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (TLS[:2], "together"),
        (TLS[2:], "together"),
        ((*TLS, "--plain-http"), "exclude each other"),
        (("--socket", "s", "--host", "127.0.0.1"), "leave out --socket"),
        (("--socket", "s", *TLS), "leave out --socket"),
        (("--socket", "s", "--plain-http"), "leave out --socket"),
        (("--socket-mode", "660"), "needs --socket"),
        (("--port", "65536"), "65535"),
        (("--port", "-1"), "65535"),
        (("--host", "no-such-host.invalid"), "has no address"),
        (("--host", "a..b"), "has no address"),
    ],
)
def test_options_that_contradict_each_other(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        address(*arguments)
    assert caught.value.code is ErrorCode.SERVER_ADDRESS


def test_the_certificate_is_loaded(tmp_path: Path) -> None:
    assert server_tls(parsed()) is None
    files = Authority(tmp_path).issue("ocr")
    options = ("--tls-certificate", str(files.certificate), "--tls-key", str(files.key))
    assert server_tls(parsed(*options)) is not None
    with pytest.raises(ConfigurationError) as caught:
        server_tls(parsed(*TLS))
    assert caught.value.code is ErrorCode.SERVER_TLS
