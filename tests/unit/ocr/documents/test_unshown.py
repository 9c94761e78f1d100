"""Content that the pages of a document do not show: names and messages."""

from __future__ import annotations

import pytest

from airflow_deepseek_ocr.ocr.documents.unshown import (
    DYNAMIC_FORM,
    MAX_NAME,
    MAX_NAMES,
    NO_ATTACHMENTS,
    Attachments,
    clean_name,
    is_document_name,
    unshown_messages,
)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("invoice 1.pdf", "invoice 1.pdf"),
        ("größe €.pdf", "größe €.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\a.docx", "a.docx"),
        ("<0>directory/", "<0>directory"),
        ("a\nERROR: forged\x1b[31m.pdf", "a ERROR: forged [31m.pdf"),
        ("cod\u202efdp.exe", "cod fdp.exe"),
        ("a\0b", "a b"),
        ("\ud800.pdf", ".pdf"),
        ("", "(no name)"),
        (" \n/", "(no name)"),
        ("x" * (1 << 20), "x" * MAX_NAME),
    ],
)
def test_names_are_bounded_and_fit_a_line(name: str, clean: str) -> None:
    assert clean_name(name) == clean
    assert clean_name(clean) == clean
    clean.encode("utf-8")


def test_documents_are_known_by_their_names() -> None:
    assert is_document_name("A.PDF")
    assert is_document_name("scan.tiff")
    assert not is_document_name("factur-x.xml")
    assert not is_document_name("pdf")


def test_sums_are_bounded() -> None:
    many = Attachments(10_000, ("a",) * MAX_NAMES)
    both = many + Attachments(1, ("b.pdf",), are_documents=True)
    assert (both.count, len(both.names), both.are_documents) == (10_001, MAX_NAMES, True)
    assert NO_ATTACHMENTS + many == many


def test_messages_name_the_first_files() -> None:
    one = Attachments(1, ("a.pdf",))
    many = Attachments(9, tuple("abcdefghi"))
    assert unshown_messages(NO_ATTACHMENTS, dynamic_form=False) == ()
    assert unshown_messages(one, dynamic_form=False) == ("1 attached file was not read: a.pdf.",)
    assert unshown_messages(many, dynamic_form=True) == (
        DYNAMIC_FORM,
        "9 attached files were not read: a, b, c, d, e and 4 more.",
    )
