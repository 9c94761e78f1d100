"""The process that makes pictures of pixels."""

from __future__ import annotations

import io
import os

from PIL import Image

from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.page_pixels import GREY, header_bytes, write_pixels
from airflow_deepseek_ocr.ocr.rendering.conversions.picture_worker import PictureRequests
from airflow_deepseek_ocr.ocr.rendering.conversions.requests import PictureRequest
from airflow_deepseek_ocr.ocr.rendering.messages import Closed, CloseRequest, Extracted, Failed
from airflow_deepseek_ocr.ocr.rendering.pixel_file import PixelFile


def test_the_pixels_come_from_the_memory_file_and_the_picture_goes_there() -> None:
    image = Image.new("L", (101, 60), 255)
    image.paste(0, (0, 0, 50, 60))
    requests = PictureRequests(Limits())
    with PixelFile() as memory:

        def files() -> list[io.BufferedReader]:
            return [os.fdopen(os.dup(memory.descriptor), "rb")]

        file = io.BytesIO()
        write_pixels(image, file)
        memory.put_bytes(file.getvalue()[header_bytes(GREY) :])
        answer = requests.answer(PictureRequest((101, 60), (51, 30), GREY), files())
        assert isinstance(answer, Extracted)
        content = os.pread(memory.descriptor, answer.size, 0)
        assert isinstance(requests.answer(PictureRequest((999, 999), (9, 9)), files()), Failed)
    picture = Image.open(io.BytesIO(content), formats=["WEBP"]).convert("L")
    assert picture.size == (51, 30)
    assert picture.getpixel((5, 15)) < 30  # type: ignore[operator]
    assert picture.getpixel((45, 15)) > 225  # type: ignore[operator]
    assert isinstance(requests.answer(CloseRequest(), []), Closed)
