"""Directories of this host that only one user may enter."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.protocol.private_directory import make_private_directory
from airflow_deepseek_ocr.exceptions import ConfigurationError, ErrorCode, UnavailableError


def refuse(reason: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.SERVERS_DIRECTORY, f"{reason} Choose another.")


def test_a_new_directory_is_closed_to_others(tmp_path: Path) -> None:
    directory = tmp_path / "parent" / "new"
    make_private_directory(directory, refuse, parents=True)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    (directory / "file").write_text("kept")
    make_private_directory(directory, refuse)
    assert (directory / "file").read_text() == "kept"


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o770])
def test_a_directory_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(ConfigurationError, match=r"chmod 700\)\. Choose another\.$"):
        make_private_directory(directory, refuse, parents=True)
    assert stat.S_IMODE(directory.stat().st_mode) == mode, "it may be open on purpose"


def test_a_link_to_a_private_directory_is_refused(tmp_path: Path) -> None:
    """Another user could point it elsewhere later."""
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "private")
    with pytest.raises(ConfigurationError, match="must be a directory"):
        make_private_directory(tmp_path / "link", refuse)


def test_a_file_in_its_place_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be created: File exists"):
        make_private_directory(tmp_path / "file", refuse)
    with pytest.raises(ConfigurationError, match="cannot be created: Not a directory"):
        make_private_directory(tmp_path / "file" / "below", refuse)


def test_missing_parents_are_created_on_request_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        make_private_directory(tmp_path / "parent" / "new", refuse)
    assert not (tmp_path / "parent").exists()


def test_a_full_disk_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UnavailableError, match="Free disk space") as caught:
        make_private_directory(tmp_path / "new", refuse)
    assert caught.value.code == ErrorCode.LOCAL_DISK
