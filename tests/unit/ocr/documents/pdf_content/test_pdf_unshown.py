"""Attached files and XFA forms in PDFs."""

from __future__ import annotations

from pathlib import Path

import pikepdf
import pytest

from airflow_deepseek_ocr.ocr.documents.base import Document
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.documents.unshown import MAX_NAMES, NO_ATTACHMENTS, Attachments
from tests.conftest import ROOT
from tests.support.unshown_pdfs import annotated, attach, form, pdf, portfolio, saved

LONG = "x" * (1 << 20)


def opened(content: bytes, tmp_path: Path) -> Document:
    path = tmp_path / "document"
    path.write_bytes(content)
    return open_document(path)


@pytest.mark.parametrize(
    ("content", "dynamic"),
    [
        (form(needs_rendering=True, fields=False), True),
        (form(needs_rendering=None, fields=False), True),
        (form(needs_rendering=False, fields=True), False),
        (form(needs_rendering=None, fields=True), False),
        (form(needs_rendering=None, fields=True, xfa=False), False),
        (form(needs_rendering=None, fields=False, xfa=False), False),
        (saved(pdf()), False),
        (form(needs_rendering=None, fields=True, width=0), True),
        (form(needs_rendering=None, fields=True, flags=2), True),
    ],
    ids=[
        "marked",
        "not_marked",
        "static",
        "static_not_marked",
        "fields",
        "no_field",
        "no_form",
        "signature_without_a_place",
        "hidden_field",
    ],
)
def test_dynamic_forms_are_distinguished_from_static_ones(
    content: bytes, dynamic: bool, tmp_path: Path
) -> None:
    with opened(content, tmp_path) as document:
        assert document.dynamic_form is dynamic
        assert document.page(1).image.size[0] > 0


@pytest.mark.parametrize("compressed", [False, True])
def test_any_file_of_a_portfolio_is_missed(compressed: bool, tmp_path: Path) -> None:
    mode = pikepdf.ObjectStreamMode.generate if compressed else pikepdf.ObjectStreamMode.disable
    content = portfolio("a.docx", "b.msg", object_stream_mode=mode)
    assert (b"/Collection" in content) is not compressed
    with opened(content, tmp_path) as document:
        assert document.attachments.names == ("a.docx", "b.msg")
        assert document.attachments.are_documents


@pytest.mark.parametrize(
    ("name", "media_type", "missed"),
    [
        ("factur-x.xml", "text/xml", False),
        ("zugferd-invoice.xml", None, False),
        ("source.docx", "application/vnd.openxmlformats-officedocument", False),
        ("annex.PDF", None, True),
        ("annex", "application/pdf", True),
        ("scan", "image/tiff", True),
        ("scan.heic", None, True),
    ],
)
def test_only_documents_are_missed(
    name: str, media_type: str | None, missed: bool, tmp_path: Path
) -> None:
    with opened(saved(attach(pdf(), {name: media_type})), tmp_path) as document:
        assert document.attachments == Attachments(1, (name,), missed)
        assert document.page(1).attachments == NO_ATTACHMENTS


def test_an_invoice_that_opens_with_the_list_of_its_files_is_no_portfolio(tmp_path: Path) -> None:
    made = attach(pdf(), {"factur-x.xml": "text/xml"})
    made.Root.PageMode = pikepdf.Name.UseAttachments
    made.pages[0].Contents = made.make_stream(b"BT /F1 9 Tf (see /Collection) Tj ET")
    with opened(saved(made), tmp_path) as document:
        assert document.attachments == Attachments(1, ("factur-x.xml",))


def test_names_of_all_kinds(tmp_path: Path) -> None:
    names = ["../../a.txt", "b\nERROR.txt", LONG, "größe €.txt", "cod\u202etxt"]
    with opened(saved(attach(pdf(), dict.fromkeys(names))), tmp_path) as document:
        assert document.attachments.names == (
            "a.txt", "b ERROR.txt", "x" * 255, "größe €.txt", "cod txt",
        )  # fmt: skip


def test_very_many_files(tmp_path: Path) -> None:
    made = attach(pdf(), {f"{number}.txt": None for number in range(3000)})
    with opened(saved(made), tmp_path) as document:
        assert document.attachments.count == 3000
        assert document.attachments.names[:2] == ("0.txt", "1.txt")
        assert len(document.attachments.names) == MAX_NAMES


def test_a_file_at_a_place_on_a_page(tmp_path: Path) -> None:
    with opened(saved(annotated(pdf(2), 1, "/tmp/annex.pdf")), tmp_path) as document:
        assert document.attachments == NO_ATTACHMENTS
        assert document.page(1).attachments == NO_ATTACHMENTS
        assert document.page(2).attachments == Attachments(1, ("annex.pdf",), True)


def test_an_image_has_no_attachments() -> None:
    with open_document(ROOT / "demo" / "documents" / "table.png") as document:
        assert (document.dynamic_form, document.attachments) == (False, NO_ATTACHMENTS)
