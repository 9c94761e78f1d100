"""Files that hold secrets, and the links that lead to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.protocol.secret_file import read_secret_file
from airflow_deepseek_ocr.exceptions import ConfigurationError, DeepSeekOCRError, ErrorCode

CONTENT = b"secret\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="files of other users need root")
#: A user and a group that are not root's.
ANOTHER = 12345


def refuse(reason: str) -> DeepSeekOCRError:
    return ConfigurationError(ErrorCode.SERVER_API_KEY, reason)


def read(path: Path) -> bytes:
    return read_secret_file(path, refuse)


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(path)
    return str(caught.value)


def secret(
    path: Path, mode: int = 0o600, owner: int | None = None, group: int | None = None
) -> Path:
    path.write_bytes(CONTENT)
    if owner is not None or group is not None:
        os.chown(path, -1 if owner is None else owner, -1 if group is None else group)
    path.chmod(mode)
    return path


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A directory as Kubernetes mounts a secret: everyone may create files, and nobody replaces links."""
    directory = tmp_path / "volume"
    (directory / "..2026").mkdir(parents=True)
    directory.chmod(0o1777)
    secret(directory / "..2026" / "key", 0o440)
    (directory / "..data").symlink_to("..2026")
    (directory / "key").symlink_to("..data/key")
    return directory


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_files_of_this_user(tmp_path: Path, mode: int) -> None:
    assert read(secret(tmp_path / "key", mode)) == CONTENT


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o620, 0o660, 0o602, 0o444])
def test_files_that_others_can_read_or_write(tmp_path: Path, mode: int) -> None:
    assert f"(mode {mode:04o})" in refusal(secret(tmp_path / "key", mode))


@needs_root
def test_files_of_other_users_and_groups(tmp_path: Path) -> None:
    path = secret(tmp_path / "key", 0o600, owner=ANOTHER)
    assert f"belongs to another user (id {ANOTHER})" in refusal(path)
    path = secret(tmp_path / "group", 0o640, group=ANOTHER)
    assert f"group with id {ANOTHER}" in refusal(path)
    path.chmod(0o600)
    assert read(path) == CONTENT, "the group has no rights"
    groups = os.getgroups()
    os.setgroups([*groups, ANOTHER])
    try:
        path.chmod(0o440)
        assert read(path) == CONTENT
    finally:
        os.setgroups(groups)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "no regular file" in refusal(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing")


def test_a_volume_of_links(volume: Path) -> None:
    assert read(volume / "key") == CONTENT
    absolute = volume.parent / "absolute"
    absolute.symlink_to(volume / "key")
    assert read(absolute) == CONTENT
    up = volume / "..2026" / "up"
    up.symlink_to("../key")
    assert read(up) == CONTENT


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("missing")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "broken")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="Too many levels"):
        read(tmp_path / "circle")


def test_the_file_behind_a_link_is_checked(volume: Path) -> None:
    (volume / "..2026" / "key").chmod(0o444)
    assert "(mode 0444)" in refusal(volume / "key")


def test_a_link_that_others_can_replace(volume: Path) -> None:
    volume.chmod(0o777)
    assert f"other users can change the directory {volume} " in refusal(volume / "key")
    volume.chmod(0o1777)
    (volume / "..2026").chmod(0o770)
    assert "..2026 on the way" in refusal(volume / "key")


@needs_root
def test_a_link_of_another_user(volume: Path) -> None:
    link = volume / "theirs"
    link.symlink_to("..data/key")
    os.chown(link, ANOTHER, ANOTHER, follow_symlinks=False)
    assert "belongs to another user" in refusal(link)
    link.unlink()
    os.chown(volume, ANOTHER, ANOTHER)
    assert "other users can change" in refusal(volume / "key")
