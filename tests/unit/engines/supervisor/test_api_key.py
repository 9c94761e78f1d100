"""API keys in files."""

from __future__ import annotations

import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.supervisor.api_key import create_api_key, read_api_key
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


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_text("key")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        read_api_key(path)
    assert caught.value.code is ErrorCode.SERVER_API_KEY


def test_missing_and_empty_files_and_links_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="No such file"):
        read_api_key(tmp_path / "missing")
    path = tmp_path / "empty"
    path.touch(0o600)
    with pytest.raises(ConfigurationError, match="is empty"):
        read_api_key(path)
    create_api_key(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    with pytest.raises(UnavailableError, match="cannot be read"):
        read_api_key(tmp_path / "link")
