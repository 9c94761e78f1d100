"""Page images in files that the server takes."""

from __future__ import annotations

import asyncio
import errno
import threading
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from airflow_deepseek_ocr.engines.http.page_file_writer import page_file, write_image
from airflow_deepseek_ocr.engines.protocol.page_files import PageFileTooLargeError, page_directory
from airflow_deepseek_ocr.model_server.received_page_files import ReceivedPageFiles
from tests.support.waiting import eventually


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


def gradient(*, colour: bool) -> Image.Image:
    image = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    if colour:
        image.putpixel((3, 4), (250, 3, 0))
    return image


@pytest.mark.parametrize("limit", [None, 2400])
@pytest.mark.parametrize("colour", [True, False])
def test_the_image_arrives_as_it_is(
    files: ReceivedPageFiles, directory: Path, tmp_path: Path, limit: int | None, colour: bool
) -> None:
    image, theirs = gradient(colour=colour), ReceivedPageFiles(directory, 10_000)
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


def test_a_page_that_is_too_large_is_not_written(files: ReceivedPageFiles, directory: Path) -> None:
    async def hand_over() -> None:
        noise = Image.effect_noise((60, 60), 90)
        async with page_file(noise, directory, limit=1000, on_taken=lambda: None):
            pass

    with pytest.raises(PageFileTooLargeError):
        asyncio.run(hand_over())
    assert not names(directory)


def test_a_file_that_was_not_taken_does_not_stay(files: ReceivedPageFiles, directory: Path) -> None:
    async def hand_over() -> None:
        image = gradient(colour=True)
        async with page_file(image, directory, limit=None, on_taken=lambda: None) as name:
            assert names(directory) == {name}

    asyncio.run(hand_over())
    assert not names(directory)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_page_cancelled_while_it_is_written_leaves_no_file(
    files: ReceivedPageFiles, directory: Path, moment: str
) -> None:
    """The thread that writes the file cannot be stopped."""
    begun, proceed, ended = threading.Event(), threading.Event(), threading.Event()

    def write(image: Image.Image, path: Path, limit: int | None) -> None:
        begun.set()
        assert proceed.wait(20)
        write_image(image, path, limit)
        ended.set()

    async def cancel() -> None:
        context = page_file(
            gradient(colour=True), directory, limit=None, on_taken=lambda: None, write=write
        )
        entering = asyncio.ensure_future(context.__aenter__())
        while not begun.is_set():
            await asyncio.sleep(0.01)
        if moment == "before":
            entering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await entering
            proceed.set()
        else:
            proceed.set()
            await entering
            await context.__aexit__(None, None, None)

    asyncio.run(cancel())
    assert ended.wait(20)
    eventually(lambda: not names(directory))


def test_a_file_that_cannot_be_removed_costs_no_page(
    files: ReceivedPageFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    async def hand_over() -> str:
        image = gradient(colour=True)
        async with page_file(image, directory, limit=None, on_taken=lambda: None) as name:
            monkeypatch.setattr(Path, "unlink", refused)
        return name

    name = asyncio.run(hand_over())
    files = ReceivedPageFiles(directory, 10_000)
    files.open()
    assert files.take(f"{files.url}/{name}"), "the server has read it"
