"""Attached files of PDFs that are read as separate documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from pikepdf import AttachedFileSpec, Name

from airflow_deepseek_ocr.exceptions import DocumentError
from airflow_deepseek_ocr.ocr.documents.limits import Limits
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.unshown import AttachedFile
from tests.support.unshown_pdfs import annotated, containing, pdf, saved

FILES = [("data.xml", b"<x/>"), ("dir/a.pdf", b"%PDF-1"), ("b.PNG", b"png"), ("c.docx", b"PK")]


def test_pdfs_and_images_are_read_and_others_named(tmp_path: Path) -> None:
    path = tmp_path / "c.pdf"
    path.write_bytes(saved(containing(pdf(), FILES)))
    with open_document(path, attachments=True) as document:
        assert document.attached == (AttachedFile(2, "a.pdf"), AttachedFile(3, "b.PNG"))
        unread = document.attachments
        assert (unread.count, unread.names) == (2, ("data.xml", "c.docx"))
        assert not unread.are_documents
        assert b"".join(document.attached_content(2)) == b"%PDF-1"
    with open_document(path) as document:
        assert (document.attached, document.attachments.count) == ((), 4)


def test_the_type_counts_for_a_file_without_an_ending(tmp_path: Path) -> None:
    made = pdf()
    for number, kind in enumerate(("application/pdf", "image/gif", "image/tiff")):
        name = f"file {number}"
        made.attachments[name] = AttachedFileSpec(made, b"x", filename=name, mime_type=kind)
    path = tmp_path / "c.pdf"
    path.write_bytes(saved(made))
    with open_document(path, attachments=True) as document:
        assert [file.name for file in document.attached] == ["file 0", "file 2"]
        assert document.attachments.names == ("file 1",)
        assert document.attachments.are_documents


def test_files_of_a_page_come_with_the_page(tmp_path: Path) -> None:
    path = tmp_path / "c.pdf"
    path.write_bytes(saved(annotated(pdf(2), 1, "annex.pdf", b"%PDF-2")))
    with open_document(path, attachments=True) as document:
        assert (document.attached, document.page(1).attached) == ((), ())
        page = document.page(2)
        assert page.attached == (AttachedFile(2001, "annex.pdf"),)
        assert page.attachments.count == 0
        assert b"".join(document.attached_content(2001)) == b"%PDF-2"
    with open_document(path) as document:
        assert (document.page(2).attached, document.page(2).attachments.count) == ((), 1)


@pytest.mark.parametrize("number", [2, 1000, 1001, 2001, 1 << 30])
def test_a_number_that_no_file_has_is_refused(tmp_path: Path, number: int) -> None:
    path = tmp_path / "c.pdf"
    path.write_bytes(saved(containing(pdf(), [("a.pdf", b"%PDF")])))
    with (
        open_document(path, attachments=True) as document,
        pytest.raises(DocumentError, match="no attached file") as raised,
    ):
        list(document.attached_content(number))
    assert raised.value.code == "missing_file"


@pytest.mark.parametrize(
    ("content", "limits", "code"),
    [
        (b"", Limits(), "empty_file"),
        (bytes(3000), Limits(max_bytes=2999), "too_many_bytes"),
        (bytes(3001), Limits(max_pixels=1000), "too_many_bytes"),
    ],
)
def test_limits_hold_for_content(tmp_path: Path, content: bytes, limits: Limits, code: str) -> None:
    path = tmp_path / "c.pdf"
    path.write_bytes(saved(containing(pdf(), [("a.pdf", content)])))
    with (
        open_document(path, limits=limits, attachments=True) as document,
        pytest.raises(DocumentError) as raised,
    ):
        list(document.attached_content(1))
    assert raised.value.code == code


def test_a_file_whose_content_is_missing_is_no_file_that_is_read(tmp_path: Path) -> None:
    made = containing(pdf(), [("a.pdf", b"%PDF")])
    del made.attachments["000000"].obj[Name.EF]
    path = tmp_path / "c.pdf"
    path.write_bytes(saved(made))
    with open_document(path, attachments=True) as document:
        assert document.attached == (AttachedFile(1, "a.pdf"),)
        with pytest.raises(DocumentError, match="cannot be decoded"):
            list(document.attached_content(1))
