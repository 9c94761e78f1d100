"""Regular files, and what is none."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_deepseek_ocr.regular_file import read_regular_file
from tests.support.descriptors import no_descriptor_left


def test_a_file_and_a_link_to_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular_file(tmp_path / "file", 7) == b"content"
    assert read_regular_file(tmp_path / "link", 7) == b"content"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link_to_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (pipe, "is a named pipe"),
        (link_to_pipe, "is a named pipe"),
        (Path.mkdir, "is a directory"),
        (unix_socket, "is a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device"),
        (sparse, "has 1,099,511,627,776 bytes, more than 100"),
        (lambda path: path.symlink_to("/proc/self/maps"), "has more than 100 bytes"),
    ],
)
def test_what_is_no_small_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    make(tmp_path / "path")
    with no_descriptor_left():
        started = time.monotonic()
        with pytest.raises(ValueError, match=said):
            read_regular_file(tmp_path / "path", 100)
        assert time.monotonic() - started < 1


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular_file(tmp_path / "path", 100)
