"""The child process that adds invisible text to PDFs, which pikepdf parses.

It has the limits and the sandbox of the process that renders pages, and is another one: renderers start
without pikepdf.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import BinaryIO

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import PageText
from airflow_deepseek_ocr.ocr.exports.pdf.searchable_pdf import add_text
from airflow_deepseek_ocr.ocr.rendering import worker
from airflow_deepseek_ocr.ocr.rendering.conversions.requests import AddTextRequest
from airflow_deepseek_ocr.ocr.rendering.messages import Answer, Extracted, Request

#: Bytes of text that are read at once.
_CHUNK = 1 << 20


class PdfRequests(worker.Requests):
    """Answers requests for searchable PDFs, besides those of a renderer."""

    def _answer(self, request: Request, files: Sequence[BinaryIO]) -> Answer:
        if not isinstance(request, AddTextRequest):
            return super()._answer(request, files)
        memory, pdf = files
        with (
            memory,
            pdf,
            _Output(memory.fileno(), self._limits.max_attached_bytes) as output,
        ):
            texts = _texts(memory.fileno(), request.size)
            add_text(pdf, texts, request.page_count, output)
            return Extracted(output.size)


def _texts(memory: int, size: int) -> dict[int, PageText]:
    chunks = (
        os.pread(memory, min(_CHUNK, size - start), start) for start in range(0, size, _CHUNK)
    )
    pages = json.loads(b"".join(chunks))
    return {int(number): PageText.parse(values) for number, values in pages}


class _Output(io.RawIOBase):
    """The memory file as a binary file that is written from its beginning.

    :param most: bytes of it, at most.
    """

    def __init__(self, descriptor: int, most: int) -> None:
        super().__init__()
        self._descriptor, self._most, self.size = descriptor, most, 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.size + len(data) > self._most:
            raise DocumentError(
                ErrorCode.EXPORT_TOO_LARGE,
                f"The searchable PDF would have more than {self._most:,} bytes, three for each of "
                "max_pixels. Raise max_pixels, or split the document.",
            )
        written = os.pwrite(self._descriptor, data, self.size)
        self.size += written
        return written


def _packages() -> list[ModuleType]:
    """Import what pikepdf imports when it is used, and return its packages."""
    try:
        import pikepdf
    except ImportError:
        return []  # the first request says so
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.save(io.BytesIO(), deterministic_id=True)
    return [pikepdf]


if __name__ == "__main__":
    sys.exit(worker.main(sys.argv[1:], PdfRequests, packages=_packages()))
