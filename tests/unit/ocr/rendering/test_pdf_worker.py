"""The process that adds text to PDFs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pikepdf

from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import PageText
from airflow_deepseek_ocr.ocr.rendering.conversions.requests import AddTextRequest
from airflow_deepseek_ocr.ocr.rendering.messages import Answer, Extracted, Failed
from airflow_deepseek_ocr.ocr.rendering.pdf_worker import PdfRequests
from airflow_deepseek_ocr.ocr.rendering.pixel_file import PixelFile


def test_the_text_comes_from_the_memory_file_and_the_pdf_goes_there(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    with pikepdf.new() as made:
        made.add_blank_page(page_size=(200, 100))
        made.save(path)
    text = PageText(200, 100, 0, ((("needle", (20, 20, 90, 40)),),))
    content = json.dumps([[1, text.as_list()]]).encode()
    with PixelFile() as memory:

        def ask(limits: Limits) -> Answer:
            memory.put_bytes(content)
            files = (os.fdopen(os.dup(memory.descriptor), "rb"), path.open("rb"))
            return PdfRequests(limits).answer(AddTextRequest(len(content), 1), files)

        assert isinstance(ask(Limits()), Extracted)
        assert os.pread(memory.descriptor, 5, 0) == b"%PDF-"
        refused = ask(Limits(max_pixels=1))
        assert isinstance(refused, Failed)
        assert refused.code == "export_too_large"
