"""API keys in files."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.protocol.api_key import (
    create_api_key,
    read_api_key,
    require_strong,
    take_api_key,
)
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """Make every write to a file of this process fail with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_new_key_is_random_and_for_its_user_alone(tmp_path: Path) -> None:
    one, other = (create_api_key(tmp_path / name) for name in ("one", "other"))
    assert one != other
    assert len(one) >= 43, "32 bytes in base64"
    assert read_api_key(tmp_path / "one") == one
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600


def test_a_key_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "k.api_key"
    with no_file_may_grow(), pytest.raises(UnavailableError, match="cannot be written") as caught:
        create_api_key(path)
    assert caught.value.code is ErrorCode.SERVER_API_KEY
    api_key = create_api_key(path)
    with pytest.raises(UnavailableError, match="File exists"):
        create_api_key(path)
    assert path.read_text() == api_key + "\n"


def test_the_key_is_in_no_message(tmp_path: Path) -> None:
    path = tmp_path / "key"
    api_key = create_api_key(path)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        read_api_key(path)
    assert api_key not in str(caught.value)


def test_a_file_that_others_can_use_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("key")
    path.chmod(0o604)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        read_api_key(path)
    assert caught.value.code is ErrorCode.SERVER_API_KEY


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="No such file"):
        read_api_key(tmp_path / "missing")
    path = tmp_path / "empty"
    path.touch(0o600)
    with pytest.raises(ConfigurationError, match="is empty"):
        read_api_key(path)


def test_a_link_of_a_secret_store_is_followed(tmp_path: Path) -> None:
    api_key = create_api_key(tmp_path / "key")
    (tmp_path / "link").symlink_to("key")
    assert read_api_key(tmp_path / "link") == api_key


@pytest.mark.parametrize("text", ["two\nlines", "schl\u00fcssel", "tab\tulator", "nul\0"])
def test_a_key_that_no_header_can_carry_is_refused_without_quoting_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="printable ASCII") as caught:
        read_api_key(path)
    assert text not in str(caught.value)
    if "\0" not in text:
        monkeypatch.setenv("OCR_KEY", text)
        with pytest.raises(ConfigurationError, match="printable ASCII") as caught:
            take_api_key("OCR_KEY")
        assert text not in str(caught.value)


def test_the_variable_is_removed_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCR_KEY", " a key\n")
    assert take_api_key("OCR_KEY") == "a key"
    assert "OCR_KEY" not in os.environ
    child = subprocess.run(["env"], capture_output=True, text=True, check=True)
    assert "OCR_KEY" not in child.stdout
    with pytest.raises(ConfigurationError, match="OCR_KEY is missing or empty"):
        take_api_key("OCR_KEY")


def test_a_server_needs_a_long_key() -> None:
    require_strong("0123456789abcdef")
    with pytest.raises(ConfigurationError, match=r"15 characters.*openssl") as caught:
        require_strong("0123456789abcde")
    assert "0123456789abcde" not in str(caught.value)
