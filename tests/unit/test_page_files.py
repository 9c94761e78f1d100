"""Pages that callers on the same host hand over as files."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from airflow_deepseek_ocr.engines.page_files import page_file, page_folder
from airflow_deepseek_ocr.engines.serve import page_files
from airflow_deepseek_ocr.engines.serve.page_files import PageFiles
from airflow_deepseek_ocr.errors import UnavailableError

NAME = "0123456789abcdef" * 2


@pytest.fixture
def files(tmp_path: Path) -> PageFiles:
    files = PageFiles(tmp_path / "s.pages", 1000)
    files.open()
    return files


def url(path: Path) -> str:
    return path.absolute().as_uri()


def test_a_file_is_taken_once(files: PageFiles) -> None:
    (files.folder / NAME).write_bytes(b"page")
    assert files.folder.stat().st_mode & 0o077 == 0
    assert files.take(url(files.folder / NAME)) == b"page"
    assert files.take(url(files.folder / NAME)) is None
    assert not list(files.folder.iterdir())


def test_nothing_else_is_read(files: PageFiles, tmp_path: Path) -> None:
    secret = tmp_path / NAME
    secret.write_text("secret")
    link, pipe, folder, large = (files.folder / f"{number:032x}" for number in range(4))
    link.symlink_to(secret)
    os.mkfifo(pipe)
    folder.mkdir()
    large.write_bytes(b"x" * 1001)
    (files.folder / "other").write_text("secret")
    prefix = url(files.folder)
    for wrong in (
        url(secret),
        *map(url, (link, pipe, folder, large)),
        f"{prefix}/other",
        f"{prefix}/../{NAME}",
        f"{prefix}/%2e%2e/{NAME}",
        f"{prefix}//{NAME}",
        f"{prefix}/{NAME}",
        f"{prefix}/",
        str(large),
        "file:",
    ):
        assert files.take(wrong) is None, wrong
    assert secret.exists()
    assert len(list(files.folder.iterdir())) == 5


def test_what_killed_callers_left_goes_in_time(
    files: PageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = files.folder / NAME, files.folder / NAME[::-1]
    other = files.folder / "other"
    for path in (old, new, other):
        path.touch()
    past = time.time() - 700
    os.utime(old, (past, past))
    os.utime(other, (past, past))
    files.take(f"{url(files.folder)}/{'a' * 32}")
    assert old.exists(), "it does not look each time"
    monkeypatch.setattr(page_files, "_SWEEP_EVERY_S", 0.0)
    files.take(f"{url(files.folder)}/{'a' * 32}")
    assert {path.name for path in files.folder.iterdir()} == {new.name, "other"}


def test_what_a_crashed_server_left_is_removed(files: PageFiles) -> None:
    (files.folder / NAME).touch()
    again = PageFiles(files.folder, 1000)
    again.open()
    assert not list(files.folder.iterdir())
    (files.folder / NAME).touch()
    again.close()
    assert not files.folder.exists()


def test_a_folder_with_other_files_stays(files: PageFiles) -> None:
    (files.folder / "other").touch()
    files.close()
    assert (files.folder / "other").exists()


def test_a_folder_of_others_is_refused(files: PageFiles, tmp_path: Path) -> None:
    files.folder.chmod(0o755)
    with pytest.raises(UnavailableError, match="entered by others") as caught:
        files.open()
    assert caught.value.code == "server_address"
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "nowhere" / "s.pages"):
        with pytest.raises(UnavailableError, match="cannot be made"):
            PageFiles(path, 1000).open()


@pytest.mark.parametrize("limit", [None, 2400])
@pytest.mark.parametrize("colour", [True, False])
def test_the_image_arrives_as_it_is(tmp_path: Path, limit: int | None, colour: bool) -> None:
    socket = tmp_path / "s.sock"
    theirs = PageFiles(page_folder(socket), 10_000)
    theirs.open()
    image = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    if colour:
        image.putpixel((3, 4), (250, 3, 0))

    async def hand_over() -> bytes | None:
        async with page_file(image, socket, str(theirs.folder), limit) as address:
            return theirs.take(address)

    content = asyncio.run(hand_over())
    assert content is not None
    assert content[:2] == (b"BM" if limit is None or not colour else b"\x89P")
    path = tmp_path / "page"
    path.write_bytes(content)
    with Image.open(path) as got:
        assert got.mode == ("RGB" if colour else "L")
        assert not ImageChops.difference(got.convert("RGB"), image).getbbox()


def test_a_file_that_was_not_taken_does_not_stay(tmp_path: Path) -> None:
    socket = tmp_path / "s.sock"
    page_folder(socket).mkdir()

    async def hand_over() -> None:
        async with page_file(Image.new("RGB", (9, 9)), socket, "/elsewhere", None) as address:
            (path,) = page_folder(socket).iterdir()
            assert address == f"file:///elsewhere/{path.name}"

    asyncio.run(hand_over())
    assert not list(page_folder(socket).iterdir())
