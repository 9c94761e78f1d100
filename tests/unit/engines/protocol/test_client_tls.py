"""The authorities that clients trust."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.protocol.client_tls import client_context
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from tests.support.certificates import Authority


def subjects(context: ssl.SSLContext) -> list[object]:
    return [each["subject"] for each in context.get_ca_certs()]


def test_certificates_and_names_are_always_verified(tmp_path: Path) -> None:
    for context in (client_context(None), client_context(Authority(tmp_path).path)):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


def test_the_connections_authorities_replace_the_systems(tmp_path: Path) -> None:
    assert len(subjects(client_context(None))) > 50
    assert len(subjects(client_context(Authority(tmp_path).path))) == 1


def test_the_variable_of_openssl_replaces_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path).path))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert len(subjects(client_context(None))) == 1


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("text")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, reason in (
        (tmp_path / "missing", "No such file"),
        (text, "no certificate in PEM format"),
        (tmp_path, "is a directory"),
        (pipe, "is a named pipe"),
    ):
        with pytest.raises(ConfigurationError, match=reason) as caught:
            client_context(path)
        assert caught.value.code is ErrorCode.CONNECTION
        assert str(path) in str(caught.value)
