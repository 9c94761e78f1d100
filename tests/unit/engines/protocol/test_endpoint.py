"""Addresses and credentials."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from airflow_deepseek_ocr.engines.protocol.endpoint import Endpoint
from airflow_deepseek_ocr.exceptions import ConfigurationError

TIMEOUT = httpx.Timeout(5)


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        (Endpoint("http://127.0.0.1:1"), True),
        (Endpoint("http://localhost"), True),
        (Endpoint("http://[::1]:1"), True),
        (Endpoint("https://ocr.example.com"), False),
        (Endpoint("http://localhost", socket_path=Path("/s")), True),
    ],
)
def test_servers_of_this_host(endpoint: Endpoint, local: bool) -> None:
    assert endpoint.local is local


def test_the_api_key_is_a_bearer_token_or_a_password() -> None:
    request = Endpoint("http://h", "key").client(TIMEOUT).build_request("GET", "/")
    assert request.headers["authorization"] == "Bearer key"
    client = Endpoint("http://h", "key", login="me").client(TIMEOUT)
    assert "authorization" not in client.build_request("GET", "/").headers
    assert isinstance(client.auth, httpx.BasicAuth)
    assert (
        "authorization"
        not in Endpoint("http://h").client(TIMEOUT).build_request("GET", "/").headers
    )


def test_the_api_key_is_not_shown() -> None:
    endpoint = Endpoint("http://h", "hunter22")
    assert "hunter22" not in repr(endpoint)
    assert endpoint.redact("not hunter22!") == "not ***!"
    assert Endpoint("http://h").redact("text") == "text"


def test_the_address_in_messages_names_the_socket() -> None:
    assert Endpoint("http://localhost", socket_path=Path("/s")).address == "unix:///s"
    assert Endpoint("https://h:1").address == "https://h:1"


def test_ca_certificates_are_read_for_tls_alone(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(ConfigurationError, match="missing"):
        Endpoint("https://h", ca_certificates=missing).client(TIMEOUT)
    with pytest.raises(ConfigurationError, match="missing"):
        Endpoint("https://h", ca_certificates=missing).async_client(TIMEOUT, 1)
    plain = Endpoint("http://h", ca_certificates=missing)
    assert not plain.tls
    plain.client(TIMEOUT).close()
