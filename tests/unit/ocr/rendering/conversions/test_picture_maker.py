"""Pictures that are made in child processes."""

from __future__ import annotations

import io
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psutil
import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, UnavailableError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.page_pixels import COLOR, PagePixels, header_bytes, write_pixels
from airflow_deepseek_ocr.ocr.rendering.conversions.picture_maker import (
    PICTURE_WORKER,
    PictureMaker,
)
from airflow_deepseek_ocr.ocr.rendering.sandbox.mode import Sandbox
from tests.support.waiting import eventually


def pixels(red: int = 200, size: tuple[int, int] = (90, 60)) -> PagePixels:
    file = io.BytesIO()
    write_pixels(Image.new("RGB", size, (red, 0, 0)), file)
    return PagePixels(size, COLOR, memoryview(file.getvalue())[header_bytes(COLOR) :])


def colour(content: bytes) -> int:
    picture = Image.open(io.BytesIO(content), formats=["WEBP"])
    assert picture.size == (45, 30)
    return picture.convert("RGB").getpixel((20, 20))[0]  # type: ignore[index]


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and PICTURE_WORKER in child.cmdline()
    ]


def test_threads_share_the_processes_and_each_gets_its_own_picture() -> None:
    with closing(PictureMaker(Limits(), Sandbox.AUTO, 2)) as maker, ThreadPoolExecutor(6) as pool:
        reds = list(range(0, 240, 20))
        made = list(pool.map(lambda red: maker.webp(pixels(red), (45, 30)), reds))
        assert all(abs(colour(each) - red) < 12 for each, red in zip(made, reds, strict=True))
        assert 1 <= len(children()) <= 2
        assert all(child.nice() >= 10 for child in children())
    assert children() == []


def test_a_process_that_is_killed_is_followed_by_another() -> None:
    with closing(PictureMaker(Limits(), Sandbox.AUTO, 1)) as maker:
        maker.webp(pixels(), (45, 30))
        (child,) = children()
        os.kill(child.pid, signal.SIGKILL)
        eventually(lambda: children() == [])
        with pytest.raises(UnavailableError) as killed:
            maker.webp(pixels(), (45, 30))
        assert killed.value.code == "renderer_killed"
        assert colour(maker.webp(pixels(), (45, 30))) > 180


def test_closing_ends_a_picture_in_the_making_and_those_that_wait() -> None:
    maker = PictureMaker(Limits(), Sandbox.AUTO, 1)
    maker.webp(pixels(), (45, 30))
    (child,) = children()
    child.suspend()
    begun = threading.Barrier(3)

    def make() -> str:
        begun.wait(20)
        try:
            maker.webp(pixels(), (45, 30))
        except DeepSeekOCRError as error:
            return error.code.value
        return "made"

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(make) for _ in range(2)]
        begun.wait(20)
        maker.close()
        assert {each.result(20) for each in both} == {"renderer_killed"}
    assert children() == []
