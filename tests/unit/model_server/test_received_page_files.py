"""Page files of clients on the same host, as the server receives them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.protocol.page_files import PageFileTooLargeError, page_directory
from airflow_deepseek_ocr.exceptions import ErrorCode, UnavailableError
from airflow_deepseek_ocr.model_server.received_page_files import ReceivedPageFiles
from tests.support.descriptors import no_descriptor_left

NAME = "0123456789abcdef" * 2


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return page_directory(tmp_path / "s.sock")


@pytest.fixture
def files(directory: Path) -> ReceivedPageFiles:
    files = ReceivedPageFiles(directory, 1000)
    files.open()
    return files


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_a_file_is_taken_once(files: ReceivedPageFiles, directory: Path) -> None:
    (directory / NAME).write_bytes(b"page")
    assert directory.stat().st_mode & 0o077 == 0
    assert files.take(f"{files.url}/{NAME}") == b"page"
    assert files.take(f"{files.url}/{NAME}") is None
    assert not names(directory)


def test_nothing_else_is_read(files: ReceivedPageFiles, directory: Path, tmp_path: Path) -> None:
    private = tmp_path / NAME
    private.write_text("private")
    link, pipe, inner = (directory / f"{number:032x}" for number in range(3))
    link.symlink_to(private)
    os.mkfifo(pipe)
    inner.mkdir()
    (directory / "other").write_text("private")
    before = names(directory)
    for wrong in (
        *(path.as_uri() for path in (private, link, pipe, inner)),
        f"{files.url}/other",
        f"{files.url}/../{NAME}",
        f"{files.url}/%2e%2e/{NAME}",
        f"{files.url}//{NAME}",
        f"{files.url}/{NAME}",
        f"{files.url}/",
        str(link),
        "file:",
    ):
        with no_descriptor_left():
            assert files.take(wrong) is None, wrong
    assert names(directory) == before
    assert private.exists()


def test_a_file_that_is_too_large_is_not_kept(files: ReceivedPageFiles, directory: Path) -> None:
    (directory / NAME).write_bytes(b"x" * 1001)
    with pytest.raises(PageFileTooLargeError):
        files.take(f"{files.url}/{NAME}")
    assert not names(directory)


def test_an_unreadable_file_is_logged(
    files: ReceivedPageFiles, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert files.take(f"{files.url}/{NAME}") is None
    assert not caplog.messages
    (directory / NAME).symlink_to("nowhere")
    assert files.take(f"{files.url}/{NAME}") is None
    assert f"The page in {directory / NAME} cannot be read" in caplog.text


def test_files_of_killed_clients_are_swept(files: ReceivedPageFiles, directory: Path) -> None:
    old, new, other = directory / NAME, directory / NAME[::-1], directory / "other"
    for path in (old, new, other):
        path.touch()
    past = time.time() - 700
    os.utime(old, (past, past))
    os.utime(other, (past, past))
    files.sweep()
    assert old.exists(), "the interval has not passed"
    eager = ReceivedPageFiles(directory, 1000, sweep_interval_s=0.0)
    eager.open()
    for path in (old, new):
        path.touch()
    os.utime(old, (past, past))
    eager.sweep()
    assert names(directory) == {new.name, "other"}


def test_files_of_a_crashed_server_are_removed(files: ReceivedPageFiles, directory: Path) -> None:
    (directory / NAME).touch()
    again = ReceivedPageFiles(directory, 1000)
    again.open()
    assert not names(directory)
    (directory / NAME).touch()
    again.close()
    assert not directory.exists()


def test_a_directory_with_other_files_stays(files: ReceivedPageFiles, directory: Path) -> None:
    (directory / "other").touch()
    files.close()
    assert names(directory) == {"other"}


def for_others(path: Path) -> None:
    path.mkdir(mode=0o755)


def a_link(path: Path) -> None:
    path.with_name("mine").mkdir(mode=0o700)
    path.symlink_to(path.with_name("mine"))


def another_users(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a directory away")
    path.mkdir(mode=0o700)
    os.chown(path, 65534, 65534)


@pytest.mark.parametrize("make", [for_others, a_link, another_users])
def test_a_directory_that_is_not_the_users_alone_is_refused(
    make: Callable[[Path], None], directory: Path
) -> None:
    make(directory)
    (directory / NAME).touch()
    files = ReceivedPageFiles(directory, 1000)
    with pytest.raises(UnavailableError, match="closed to others") as caught:
        files.open()
    assert caught.value.code == ErrorCode.SERVER_ADDRESS
    assert files.take(f"{files.url}/{NAME}") is None
    files.close()
    assert names(directory) == {NAME}, "it is not ours to empty"


def test_a_directory_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "nowhere" / "s.pages"):
        with pytest.raises(UnavailableError, match="cannot be created") as caught:
            ReceivedPageFiles(path, 1000).open()
        assert caught.value.code == ErrorCode.SERVER_ADDRESS

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UnavailableError, match="Free disk space") as caught:
        ReceivedPageFiles(tmp_path / "new", 1000).open()
    assert caught.value.code == ErrorCode.LOCAL_DISK
