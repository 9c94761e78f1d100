"""The memory file for pixels cannot be used against the process that reads it."""

from __future__ import annotations

import fcntl
import gc
import mmap
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from airflow_deepseek_ocr.ocr.page_pixels import PagePixels, write_pixels
from airflow_deepseek_ocr.ocr.rendering.pixel_file import PixelFile, write_at


def filled(image: Image.Image) -> PixelFile:
    file = PixelFile()
    with open(file.descriptor, "wb", closefd=False) as opened:
        write_pixels(image, opened)
    return file


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(300, 200), (301, 201), (1, 7), (3000, 2000)])
def test_pixels_pass_unchanged_and_outlive_the_file(mode: str, size: tuple[int, int]) -> None:
    image = Image.effect_noise(size, 80).convert(mode)
    with filled(image) as file:
        taken = file.take(size, len(mode))
    assert isinstance(taken, PagePixels)
    assert (taken.width, taken.height) == size
    assert ImageChops.difference(taken.decode(), image).getbbox() is None


def _mappings() -> int:
    return Path("/proc/self/maps").read_text().count("memfd:page")


def _descriptors() -> int:
    names = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            names.append(str(descriptor.readlink()))
    return sum("memfd:page" in name for name in names)


def test_the_memory_is_released_with_the_last_view_of_it() -> None:
    gc.collect()  # pages of earlier tests
    mappings, descriptors = _mappings(), _descriptors()
    with filled(Image.new("RGB", (300, 200))) as file:
        assert _descriptors() == descriptors + 1
        pixels = file.take((300, 200), 3)
    assert pixels is not None
    assert _descriptors() == descriptors, "a page keeps no descriptor"
    view = pixels.rows[:10]
    del pixels
    gc.collect()
    assert (_mappings(), bytes(view)) == (mappings + 1, bytes(10))
    del view
    gc.collect()
    assert (_mappings(), _descriptors()) == (mappings, descriptors)


def test_pixels_can_be_read_while_the_interpreter_ends() -> None:
    # Functions that were registered before the page was taken are called after its finalizer would be.
    program = """
import atexit, os
from airflow_deepseek_ocr.ocr.rendering.pixel_file import PixelFile
pages = []
atexit.register(lambda: print(bytes(pages[0].rows[:4])))
with PixelFile() as file:
    os.pwrite(file.descriptor, bytes(1078) + b"abcd", 0)
    pages.append(file.take((4, 1), 1))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, b"b'abcd'\n")


def test_all_bytes_are_written_though_the_kernel_writes_a_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pwrite = os.pwrite
    with PixelFile() as file, monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda to, data, start: pwrite(to, data[:3], start))
        write_at(file.descriptor, b"0123456789", 2)
        assert os.pread(file.descriptor, 20, 0) == b"\0\x000123456789"


def test_another_number_of_pixels_than_announced_is_noticed() -> None:
    for size, channels in (((10, 9), 3), ((10, 11), 3), ((10, 10), 1)):
        with filled(Image.new("RGB", (10, 10))) as file:
            assert file.take(size, channels) is None


def test_a_file_that_was_taken_cannot_be_changed() -> None:
    with filled(Image.new("RGB", (10, 10))) as file:
        assert file.take((10, 10), 3) is not None
        for change in (
            lambda: os.ftruncate(file.descriptor, 9),
            lambda: os.ftruncate(file.descriptor, 9999),
            lambda: os.pwrite(file.descriptor, b"1", 0),
            lambda: fcntl.fcntl(file.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
            lambda: mmap.mmap(file.descriptor, 9),
        ):
            with pytest.raises(PermissionError):
                change()


def test_a_file_that_can_still_be_changed_is_not_taken() -> None:
    with filled(Image.new("RGB", (10, 10))) as file, mmap.mmap(file.descriptor, 9):
        assert file.take((10, 10), 3) is None
    with filled(Image.new("RGB", (10, 10))) as file:
        fcntl.fcntl(file.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
        assert file.take((10, 10), 3) is None


def test_attached_files_come_in_chunks() -> None:
    with PixelFile() as file:
        content = os.urandom((2 << 20) + 5)
        os.pwrite(file.descriptor, content, 0)
        chunks = list(file.take_bytes(len(content)))
    assert (len(chunks), b"".join(chunks)) == (3, content)
