"""Searchable PDFs made in a child process."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pikepdf
import pypdfium2
import pytest

from airflow_deepseek_ocr.exceptions import DocumentError, MissingExtraError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.exports import formats
from airflow_deepseek_ocr.ocr.exports.pdf.invisible_text import PageText
from airflow_deepseek_ocr.ocr.rendering.pdf_maker import PdfMaker

TEXT = {1: PageText(200, 100, 0, ((("needle\ud800", (20, 20, 90, 40)),),))}


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    path = tmp_path / "a.pdf"
    with pikepdf.new() as made:
        made.add_blank_page(page_size=(200, 100))
        made.save(path)
    return path


def test_a_pdf_comes_back_with_its_words_and_the_next_one_too(pdf: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4\n")
    with PdfMaker(Limits()) as maker:
        content = b"".join(maker.make(pdf, TEXT, 1))
        with pytest.raises(DocumentError):
            list(maker.make(broken, TEXT, 1))
        assert b"".join(maker.make(pdf, TEXT, 1)) == content
    assert pypdfium2.PdfDocument(content)[0].get_textpage().get_text_range() == "needle\ufffd"
    with pikepdf.open(io.BytesIO(content)) as made:
        assert made.check_pdf_syntax() == []


def test_encryption_that_needs_random_numbers_is_recognised(pdf: Path, tmp_path: Path) -> None:
    encrypted = tmp_path / "aes.pdf"
    with pikepdf.open(pdf) as opened:
        opened.save(encrypted, encryption=pikepdf.Encryption(owner="secret", user="", R=6))
    with PdfMaker(Limits()) as maker, pytest.raises(DocumentError) as refused:
        list(maker.make(encrypted, TEXT, 1))
    assert refused.value.code == "export_protected"


def test_a_pdf_that_would_be_too_large_is_refused(pdf: Path) -> None:
    with (
        PdfMaker(replace(Limits(), max_pixels=100)) as maker,
        pytest.raises(DocumentError, match="max_pixels") as refused,
    ):
        list(maker.make(pdf, TEXT, 1))
    assert refused.value.code == "export_too_large"


def test_without_pikepdf_the_error_names_the_extra(
    pdf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _: None)
    with PdfMaker(Limits()) as maker, pytest.raises(MissingExtraError, match=r"\[exports\]"):
        list(maker.make(pdf, TEXT, 1))
