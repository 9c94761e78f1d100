"""Pages that callers on the same host hand over as files."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from airflow_deepseek_ocr.engines.http.page_file_writer import PageTooLargeError, page_file
from airflow_deepseek_ocr.engines.protocol import page_files as callers
from airflow_deepseek_ocr.engines.protocol.page_files import page_directory, remove_page_directory
from airflow_deepseek_ocr.exceptions import UnavailableError
from airflow_deepseek_ocr.model_server import received_page_files as page_files
from airflow_deepseek_ocr.model_server.received_page_files import PageFiles

NAME = "0123456789abcdef" * 2


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return page_directory(tmp_path / "s.sock")


@pytest.fixture
def files(directory: Path) -> PageFiles:
    files = PageFiles(directory, 1000)
    files.open()
    return files


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_each_server_has_a_directory_of_its_own() -> None:
    sockets = ("s", "s.sock", "s.v1", "s.v2", "s.pages")
    assert len({page_directory(Path("/run") / name) for name in sockets}) == len(sockets)


def test_a_file_is_taken_once(files: PageFiles, directory: Path) -> None:
    (directory / NAME).write_bytes(b"page")
    assert directory.stat().st_mode & 0o077 == 0
    assert files.take(f"{files.url}/{NAME}") == b"page"
    assert files.take(f"{files.url}/{NAME}") is None
    assert not names(directory)


def test_nothing_else_is_read(files: PageFiles, directory: Path, tmp_path: Path) -> None:
    secret = tmp_path / NAME
    secret.write_text("secret")
    link, pipe, inner = (directory / f"{number:032x}" for number in range(3))
    link.symlink_to(secret)
    os.mkfifo(pipe)
    inner.mkdir()
    (directory / "other").write_text("secret")
    before, opened = names(directory), len(names(Path("/proc/self/fd")))
    for wrong in (
        *(path.as_uri() for path in (secret, link, pipe, inner)),
        f"{files.url}/other",
        f"{files.url}/../{NAME}",
        f"{files.url}/%2e%2e/{NAME}",
        f"{files.url}//{NAME}",
        f"{files.url}/{NAME}",
        f"{files.url}/",
        str(link),
        "file:",
    ):
        assert files.take(wrong) is None, wrong
    assert names(directory) == before
    assert secret.exists()
    assert len(names(Path("/proc/self/fd"))) == opened


def test_a_file_that_is_too_large_is_not_kept(files: PageFiles, directory: Path) -> None:
    (directory / NAME).write_bytes(b"x" * 1001)
    with pytest.raises(PageTooLargeError):
        files.take(f"{files.url}/{NAME}")
    assert not names(directory)


def test_what_cannot_be_read_is_told(
    files: PageFiles, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert files.take(f"{files.url}/{NAME}") is None
    assert not caplog.messages
    (directory / NAME).symlink_to("nowhere")
    assert files.take(f"{files.url}/{NAME}") is None
    assert f"The page in {directory / NAME} cannot be read" in caplog.text


def test_what_killed_callers_left_goes_in_time(
    files: PageFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, other = directory / NAME, directory / NAME[::-1], directory / "other"
    for path in (old, new, other):
        path.touch()
    past = time.time() - 700
    os.utime(old, (past, past))
    os.utime(other, (past, past))
    files.sweep()
    assert old.exists(), "it does not look each time"
    monkeypatch.setattr(page_files, "_SWEEP_EVERY_S", 0.0)
    files.sweep()
    assert names(directory) == {new.name, "other"}


def test_what_a_crashed_server_left_is_removed(files: PageFiles, directory: Path) -> None:
    (directory / NAME).touch()
    again = PageFiles(directory, 1000)
    again.open()
    assert not names(directory)
    (directory / NAME).touch()
    again.close()
    assert not directory.exists()


def test_whoever_starts_the_next_server_removes_the_directory(
    files: PageFiles, directory: Path
) -> None:
    (directory / NAME).touch()
    for _ in range(2):
        remove_page_directory(directory.with_name("s.sock"))
        assert not list(directory.parent.iterdir())


def test_a_directory_with_other_files_stays(files: PageFiles, directory: Path) -> None:
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
    files = PageFiles(directory, 1000)
    with pytest.raises(UnavailableError, match="closed to others") as caught:
        files.open()
    assert caught.value.code == "server_address"
    assert files.take(f"{files.url}/{NAME}") is None
    files.close()
    assert names(directory) == {NAME}, "it is not ours to empty"


def test_a_directory_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "nowhere" / "s.pages"):
        with pytest.raises(UnavailableError, match="cannot be created") as caught:
            PageFiles(path, 1000).open()
        assert caught.value.code == "server_address"

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UnavailableError, match="Free disk space") as caught:
        PageFiles(tmp_path / "new", 1000).open()
    assert caught.value.code == "local_disk"


def gradient(*, colour: bool) -> Image.Image:
    image = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    if colour:
        image.putpixel((3, 4), (250, 3, 0))
    return image


@pytest.mark.parametrize("limit", [None, 2400])
@pytest.mark.parametrize("colour", [True, False])
def test_the_image_arrives_as_it_is(
    files: PageFiles, directory: Path, tmp_path: Path, limit: int | None, colour: bool
) -> None:
    image, theirs = gradient(colour=colour), PageFiles(directory, 10_000)
    theirs.open()

    async def hand_over() -> bytes | None:
        taken = asyncio.Event()
        async with page_file(image, directory, limit=limit, on_taken=taken.set) as name:
            await asyncio.sleep(0.1)
            assert not taken.is_set()
            content = theirs.take(f"{theirs.url}/{name}")
            await asyncio.wait_for(taken.wait(), 10)
            return content

    content = asyncio.run(hand_over())
    assert content is not None
    assert content[:2] == (b"BM" if limit is None or not colour else b"\x89P")
    path = tmp_path / "page"
    path.write_bytes(content)
    with Image.open(path) as got:
        assert got.mode == ("RGB" if colour else "L")
        assert not ImageChops.difference(got.convert("RGB"), image).getbbox()


def test_a_page_that_is_too_large_is_not_written(files: PageFiles, directory: Path) -> None:
    async def hand_over() -> None:
        noise = Image.effect_noise((60, 60), 90)
        async with page_file(noise, directory, limit=1000, on_taken=lambda: None):
            pass

    with pytest.raises(PageTooLargeError):
        asyncio.run(hand_over())
    assert not names(directory)


def test_a_file_that_was_not_taken_does_not_stay(files: PageFiles, directory: Path) -> None:
    async def hand_over() -> None:
        image = gradient(colour=True)
        async with page_file(image, directory, limit=None, on_taken=lambda: None) as name:
            assert names(directory) == {name}

    asyncio.run(hand_over())
    assert not names(directory)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_page_that_is_given_up_while_it_is_written_does_not_stay(
    files: PageFiles, directory: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that writes it cannot be stopped."""
    write, ended = callers._write, []

    def slow(*arguments: object) -> None:
        if moment == "before":
            time.sleep(0.3)
        write(*arguments)  # type: ignore[arg-type]
        ended.append(names(directory))

    monkeypatch.setattr(callers, "_write", slow)

    async def give_up() -> None:
        image = gradient(colour=True)
        context = page_file(image, directory, limit=None, on_taken=lambda: None)
        entering = asyncio.ensure_future(context.__aenter__())
        await asyncio.sleep(0.05)
        if moment == "before":
            entering.cancel()
            with suppress(asyncio.CancelledError):
                await entering
        else:
            await entering
            await context.__aexit__(None, None, None)

    asyncio.run(give_up())
    deadline = time.monotonic() + 10
    while not ended and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended
    assert not names(directory)


def test_a_file_that_cannot_be_removed_costs_no_page(
    files: PageFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    async def hand_over() -> str:
        image = gradient(colour=True)
        async with page_file(image, directory, limit=None, on_taken=lambda: None) as name:
            monkeypatch.setattr(Path, "unlink", refused)
        return name

    name = asyncio.run(hand_over())
    files = PageFiles(directory, 10_000)
    files.open()
    assert files.take(f"{files.url}/{name}"), "the server has read it"
