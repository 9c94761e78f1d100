"""The child process that makes pictures of pages of their pixels.

It sees no documents. A decoder that a hostile file controls could forge a picture that attacks those who
open it; with this process, it can only choose the pixels. The limits and the sandbox are those of the process
that renders pages.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

from airflow_deepseek_ocr.ocr.exports.page_pictures import encode_webp
from airflow_deepseek_ocr.ocr.page_pixels import PagePixels
from airflow_deepseek_ocr.ocr.rendering import worker
from airflow_deepseek_ocr.ocr.rendering.conversions.requests import PictureRequest
from airflow_deepseek_ocr.ocr.rendering.messages import Answer, Extracted, Request

#: Added to the niceness: pages are read first where processes want more cores than there are.
_NICENESS = 10


class PictureRequests(worker.Requests):
    """Answers requests for pictures, besides those of a renderer."""

    def _answer(self, request: Request, files: Sequence[BinaryIO]) -> Answer:
        if not isinstance(request, PictureRequest):
            return super()._answer(request, files)
        with files[0] as memory:
            content = mmap.mmap(memory.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
            with content, memoryview(content) as rows:
                image = PagePixels(request.size, request.channels, rows).decode()
            picture = encode_webp(image, request.picture_size)
            worker.write_result(memory.fileno(), picture, 0)
            return Extracted(len(picture))


if __name__ == "__main__":
    with suppress(OSError):  # a system may forbid it
        os.nice(_NICENESS)
    sys.exit(worker.main(sys.argv[1:], PictureRequests))
