"""Addresses that the server listens on."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.model_server.listen_address import ListenAddress


def refusal(address: ListenAddress) -> str:
    with pytest.raises(UnavailableError) as caught:
        address.open()
    assert caught.value.code == ErrorCode.SERVER_ADDRESS
    return str(caught.value)


def test_a_port_of_the_loopback() -> None:
    with ListenAddress().open() as first:
        host, port = first.getsockname()
        assert host == "127.0.0.1"
        assert port
        assert f"127.0.0.1:{port}: Address already in use" in refusal(ListenAddress(port=port))


def test_an_address_of_another_host() -> None:
    # TEST-NET-1 of RFC 5737, which no host has.
    assert "No network interface" in refusal(ListenAddress(host="192.0.2.1"))


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")
def test_all_addresses_of_both_versions() -> None:
    with ListenAddress(host="::").open() as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("fe80::1%1", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_whether_other_hosts_can_connect(host: str, loopback: bool) -> None:
    assert ListenAddress(host=host).resolve().loopback is loopback


def test_a_name_is_resolved_once() -> None:
    address = ListenAddress(host="localhost", port=5).resolve()
    assert (address.host in ("127.0.0.1", "::1"), address.port) == (True, 5)
    with pytest.raises(ConfigurationError, match="has no address") as caught:
        ListenAddress(host="no-such-host.invalid").resolve()
    assert caught.value.code == ErrorCode.SERVER_ADDRESS


def test_the_address_in_messages() -> None:
    assert str(ListenAddress(host="10.0.0.1", port=1)) == "10.0.0.1:1"
    assert str(ListenAddress(host="::", port=1)) == "[::]:1"
    assert str(ListenAddress(socket_path=Path("/s"))) == "unix:///s"


@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_a_socket_that_its_user_or_group_may_use(tmp_path: Path, mode: int) -> None:
    path, mask = tmp_path / "s.sock", os.umask(0o022)
    try:
        address = ListenAddress(socket_path=path, socket_mode=mode)
        assert address.loopback
        with address.open():
            assert stat.S_IMODE(path.stat().st_mode) == mode
            assert "in use. Stop the program" in refusal(address)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(mask)


def test_the_socket_of_a_killed_server_is_replaced(tmp_path: Path) -> None:
    address = ListenAddress(socket_path=tmp_path / "s.sock")
    address.open().close()
    with address.open():
        assert "in use" in refusal(address)


def test_a_path_that_cannot_be_a_socket(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    assert "in use" in refusal(ListenAddress(socket_path=file))
    assert file.read_text() == "kept"
    assert "Create the socket's directory" in refusal(ListenAddress(socket_path=tmp_path / "d/s"))
    assert "too long" in refusal(ListenAddress(socket_path=tmp_path / ("s" * 108)))
