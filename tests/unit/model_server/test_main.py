"""Addresses that the server listens on."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.model_server.main import ListenAddress


def test_a_port_of_the_loopback() -> None:
    with ListenAddress().open() as first:
        host, port = first.getsockname()
        assert host == "127.0.0.1"
        assert port
        with pytest.raises(UnavailableError, match="--port") as caught:
            ListenAddress(port=port).open()
    assert caught.value.code == ErrorCode.SERVER_ADDRESS


def test_a_socket_that_its_user_alone_may_use(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with ListenAddress(path).open():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(UnavailableError, match="in use"):
            ListenAddress(path).open()
