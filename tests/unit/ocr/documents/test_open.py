"""The type of a file by its content, and the choice of the decoder."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.documents.images import ImageDocument
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import media_type_of, open_document
from airflow_deepseek_ocr.ocr.documents.page_selection import PageSelection
from airflow_deepseek_ocr.ocr.documents.pdf import PdfDocument
from tests.corpus.documents.raw_images import encoded
from tests.support.fixtures.made_documents import INVOICE, blank_pdf, error_of, write


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("TIFF", "image/tiff"),
        ("PDF", "application/pdf"),
    ],
)
def test_the_content_decides_the_type_of_a_file(tmp_path: Path, kind: str, media_type: str) -> None:
    path = write(tmp_path, "wrong.txt", encoded(Image.new("RGB", (60, 40), "white"), kind))
    assert media_type_of(path) == media_type
    with open_document(path) as document:
        assert document.media_type == media_type
        assert document.page(1).image.mode == "RGB"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", None),
        (b"just some text", None),
        (b"GIF89a", None),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"II+\0", "image/tiff"),
        (b"MM\0+", "image/tiff"),
        (b"\0\0\0\x18ftypmif1", "image/heif"),
        (b"\0\0\0\x18ftypisom", None),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"\r\n" * 500 + b"%PDF-1.4", "application/pdf"),
        (b"\n" * 1024 + b"%PDF-1.4", None),
    ],
)
def test_signatures(tmp_path: Path, content: bytes, media_type: str | None) -> None:
    assert media_type_of(write(tmp_path, "file", content)) == media_type


def test_the_decoder_fits_the_type(tmp_path: Path) -> None:
    image = write(tmp_path, "scan.pdf", encoded(Image.new("L", (9, 9)), "PNG"))
    with open_document(image) as document:
        assert isinstance(document, ImageDocument)
    with open_document(INVOICE) as document:
        assert isinstance(document, PdfDocument)


def test_the_size_is_checked_before_the_type(tmp_path: Path) -> None:
    path = write(tmp_path, "notes.txt", b"just some text")
    assert error_of(path).code is ErrorCode.UNSUPPORTED_TYPE
    assert error_of(path, limits=Limits(max_bytes=9)).code is ErrorCode.TOO_MANY_BYTES
    assert error_of(write(tmp_path, "empty.pdf", b"")).code is ErrorCode.EMPTY_FILE


def test_the_selection_and_the_dpi_reach_the_decoder(tmp_path: Path) -> None:
    path = blank_pdf(tmp_path / "three.pdf", 3, (72, 36))
    with open_document(path, selection=PageSelection.parse("2-"), dpi=100) as document:
        assert document.page_numbers == (2, 3)
        assert document.page(2).image.size == (100, 50)
