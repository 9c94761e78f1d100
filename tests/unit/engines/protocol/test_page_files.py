"""Names of page files and of their directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_deepseek_ocr.engines.protocol.page_files import (
    is_page_file_name,
    new_page_file_name,
    page_directory,
    remove_page_directory,
)


def test_each_server_has_a_directory() -> None:
    sockets = ("s", "s.sock", "s.v1", "s.v2", "s.pages")
    assert len({page_directory(Path("/run") / name) for name in sockets}) == len(sockets)


def test_the_next_server_removes_the_directory_with_its_files(tmp_path: Path) -> None:
    socket = tmp_path / "s.sock"
    page_directory(socket).mkdir()
    (page_directory(socket) / new_page_file_name()).touch()
    for _ in range(2):
        remove_page_directory(socket)
        assert not list(tmp_path.iterdir())


def test_new_names_differ_and_are_valid() -> None:
    names = {new_page_file_name() for _ in range(100)}
    assert len(names) == 100
    assert all(is_page_file_name(name) for name in names)


@pytest.mark.parametrize(
    "name", ["", "other", "0" * 31, "0" * 33, "A" * 32, "../" + "0" * 32, "0" * 32 + "\n", "g" * 32]
)
def test_other_names_are_refused(name: str) -> None:
    assert not is_page_file_name(name)
