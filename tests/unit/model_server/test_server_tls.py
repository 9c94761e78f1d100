"""The server's certificate and private key."""

from __future__ import annotations

import logging
import ssl
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode
from airflow_deepseek_ocr.model_server.server_tls import ServerTls, TlsFiles
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def refusal(files: TlsFiles) -> str:
    with pytest.raises(ConfigurationError) as caught:
        files.context()
    assert caught.value.code is ErrorCode.SERVER_TLS
    return str(caught.value)


def test_a_certificate_with_its_key(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    context = authority.issue("ocr").context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert caplog.messages == []


def test_files_that_are_missing_or_no_pem(authority: Authority, tmp_path: Path) -> None:
    files, missing, text = authority.issue("ocr"), tmp_path / "missing", tmp_path / "text"
    text.write_text("text")
    text.chmod(0o600)
    assert f"{missing} cannot be read: No such file" in refusal(replace(files, certificate=missing))
    assert "--tls-key" in refusal(replace(files, key=missing))
    assert f"{text} holds no certificate" in refusal(replace(files, certificate=text))
    assert "must be in PEM format" in refusal(replace(files, key=text))
    assert "Is a directory" in refusal(replace(files, key=tmp_path))


def test_the_key_of_another_certificate(authority: Authority) -> None:
    files, other = authority.issue("ocr"), authority.issue("ocr", file="other")
    assert "does not belong to the certificate" in refusal(replace(files, key=other.key))


def test_a_certificate_is_valid_now(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    assert "expired at" in refusal(authority.issue("ocr", days=(-3, -1)))
    assert "clock" in refusal(authority.issue("ocr", days=(1, 3)))
    with caplog.at_level(logging.WARNING):
        authority.issue("ocr", days=(-1, 5)).context()
    (message,) = caplog.messages
    assert "expires at" in message


def test_a_key_that_others_can_read_or_that_has_a_password(authority: Authority) -> None:
    files = authority.issue("ocr")
    files.key.chmod(0o644)
    assert "by other users (mode 0644)" in refusal(files)
    files.key.chmod(0o640)
    files.context()
    assert "has a password" in refusal(authority.issue("ocr", password=b"hunter22"))


def test_a_volume_of_a_secret_store(authority: Authority, tmp_path: Path) -> None:
    """Kubernetes mounts files of a secret as links over a link."""
    files, volume = authority.issue("ocr"), tmp_path / "volume"
    (volume / "..2026").mkdir(parents=True)
    (volume / "..data").symlink_to("..2026")
    for name, path in (("tls.crt", files.certificate), ("tls.key", files.key)):
        (volume / "..2026" / name).write_bytes(path.read_bytes())
        (volume / "..2026" / name).chmod(0o440)
        (volume / name).symlink_to(f"..data/{name}")
    TlsFiles(certificate=volume / "tls.crt", key=volume / "tls.key").context()


def served(tls: ServerTls, authority: Authority) -> int:
    """Return the serial number of the certificate that a client receives."""
    client = ssl.create_default_context(cafile=str(authority.path))
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname="ocr")
    there = tls.context.wrap_bio(to_server, to_client, server_side=True)
    for side in (here, there, here):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    certificate = here.getpeercert()
    assert certificate is not None
    return int(str(certificate["serialNumber"]), 16)


def test_renewed_files_are_used_when_both_fit(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    files = authority.issue("ocr")
    tls = ServerTls(files)
    before = served(tls, authority)
    assert not tls.renew(), "nothing has changed"
    old_key = files.key.read_bytes()
    authority.issue("ocr")
    new_key = files.key.read_bytes()
    files.key.write_bytes(old_key)
    assert not tls.renew(), "the key is still the old one"
    assert "does not belong to the certificate" in caplog.messages[-1]
    assert served(tls, authority) == before
    files.key.unlink()
    assert not tls.renew()
    files.key.touch(0o600)
    files.key.write_bytes(new_key)
    assert tls.renew()
    assert served(tls, authority) != before
