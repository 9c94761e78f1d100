"""Attached files and XFA forms of a PDF, found by PDFium without decoding them."""

from __future__ import annotations

import ctypes
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from mmap import mmap

import pypdfium2
import pypdfium2.raw as pdfium

from airflow_deepseek_ocr.ocr.documents.unshown import (
    MAX_NAMES,
    AttachedFile,
    Attachments,
    clean_name,
    is_document_name,
)

#: Pages of an XFA form that are searched for fields: a static form has some on its first pages.
_FORM_PAGES = 20
_HIDDEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
#: Annotations of a page that are inspected, at most.
MAX_ANNOTATIONS = 1000
#: Bytes of a name or type in UTF-16, at most; longer ones are not read.
_MAX_TEXT_BYTES = 4 << 20
#: Entry of a portfolio's catalog (PDF 1.7, section 7.11.6).
_COLLECTION = re.compile(rb"/Collection\s*(?:<<|\d+\s+\d+\s+R)")
#: The beginning of a stream of compressed objects (PDF 1.7, section 7.5.7).
_OBJECT_STREAM = re.compile(rb"/Type\s*/ObjStm[^<>]{0,500}>>\s*stream\r?\n")
#: Streams that are searched, and bytes of each, at most: about a second's work.
_MAX_STREAMS, _MAX_STREAM_BYTES = 200, 1 << 20
_DOCUMENT_TYPES = ("application/pdf", "image/")


def is_dynamic_form(pdf: pypdfium2.PdfDocument) -> bool:
    """Return whether a PDF is a dynamic XFA form, whose pages are placeholders.

    ``NeedsRendering`` marks such forms (PDF 1.7, table 28). Some lack it, but have no field on any page, as
    static XFA forms have.
    """
    kind = pdfium.FPDF_GetFormType(pdf)
    if kind != pdfium.FORMTYPE_XFA_FOREGROUND:
        return bool(kind == pdfium.FORMTYPE_XFA_FULL)
    return not any(_has_field(pdf, index) for index in range(min(len(pdf), _FORM_PAGES)))


def document_attachments(
    pdf: pypdfium2.PdfDocument, content: mmap, read: Sequence[AttachedFile] = ()
) -> Attachments:
    """Return the files that are attached to a PDF as a whole, and that are not read.

    :param pdf: the open document.
    :param content: the bytes of its file.
    :param read: the files that are read.
    """
    found = document_files(pdf, MAX_NAMES + len(read))
    files = _attachments(_without(found, read))
    count = max(0, pdfium.FPDFDoc_GetAttachmentCount(pdf)) - len(read)
    are_documents = files.are_documents or (count > 0 and _is_portfolio(content))
    return Attachments(count, files.names, are_documents)


def page_attachments(
    page: pypdfium2.PdfPage, number: int = 1, read: Sequence[AttachedFile] = ()
) -> Attachments:
    """Return the files that are attached to a place on a page, and that are not read.

    :param page: an open page.
    :param number: the page's number, from 1.
    :param read: the files that are read.
    """
    return _attachments(_without(page_files(page, number), read))


def document_files(
    pdf: pypdfium2.PdfDocument, most: int
) -> Iterator[tuple[int, pdfium.FPDF_ATTACHMENT]]:
    """Yield the first files that are attached to a PDF as a whole, with their numbers.

    :param most: number of files, at most.
    """
    for index in range(min(pdfium.FPDFDoc_GetAttachmentCount(pdf), most)):
        file = pdfium.FPDFDoc_GetAttachment(pdf, index)
        if file:
            yield index + 1, file


def page_files(
    page: pypdfium2.PdfPage, number: int
) -> Iterator[tuple[int, pdfium.FPDF_ATTACHMENT]]:
    """Yield the files that are attached to a place on a page, with their numbers.

    :param page: an open page.
    :param number: the page's number, from 1.
    """
    for index, file in enumerate(_annotated_files(page)):
        yield number * MAX_ANNOTATIONS + index + 1, file


def file_name(file: pdfium.FPDF_ATTACHMENT) -> str:
    """Return the name of an attached file for a line of a log."""
    return clean_name(_text(pdfium.FPDFAttachment_GetName, file))


def file_type(file: pdfium.FPDF_ATTACHMENT) -> str:
    """Return the media type that a PDF states for an attached file, in lower case; empty for none."""
    return _text(pdfium.FPDFAttachment_GetSubtype, file).lower()


def _is_portfolio(content: mmap) -> bool:
    """Return whether a PDF with attached files has the entry of portfolios, which PDFium does not report.

    The page mode is no sign of them: invoices with attached data open with the list of their files, too.
    """
    return _COLLECTION.search(content) is not None or any(
        map(_COLLECTION.search, _compressed_objects(content))
    )


def _compressed_objects(content: mmap) -> Iterator[bytes]:
    """Yield the beginnings of compressed objects, of which the catalog is most often one."""
    for match in islice(_OBJECT_STREAM.finditer(content), _MAX_STREAMS):
        with suppress(zlib.error):
            data = content[match.end() : match.end() + _MAX_STREAM_BYTES]
            yield zlib.decompressobj().decompress(data, _MAX_STREAM_BYTES)


def _annotated_files(page: pypdfium2.PdfPage) -> Iterator[pdfium.FPDF_ATTACHMENT]:
    for annotation in _annotations(page):
        if pdfium.FPDFAnnot_GetSubtype(annotation) == pdfium.FPDF_ANNOT_FILEATTACHMENT:
            file = pdfium.FPDFAnnot_GetFileAttachment(annotation)
            if file:
                yield file


def _annotations(page: pypdfium2.PdfPage) -> Iterator[pdfium.FPDF_ANNOTATION]:
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page), MAX_ANNOTATIONS)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if annotation:
            try:
                yield annotation
            finally:
                pdfium.FPDFPage_CloseAnnot(annotation)


def _has_field(pdf: pypdfium2.PdfDocument, index: int) -> bool:
    try:
        page = pdf[index]
    except pypdfium2.PdfiumError:
        return False
    try:
        return any(map(_is_visible_field, _annotations(page)))
    finally:
        page.close()


def _is_visible_field(annotation: pdfium.FPDF_ANNOTATION) -> bool:
    """Return whether an annotation is a field that a page shows, unlike some signatures."""
    box = pdfium.FS_RECTF()
    return (
        pdfium.FPDFAnnot_GetSubtype(annotation) == pdfium.FPDF_ANNOT_WIDGET
        and not pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN
        and bool(pdfium.FPDFAnnot_GetRect(annotation, box))
        and abs(box.right - box.left) > 1
        and abs(box.top - box.bottom) > 1
    )


def _without(
    files: Iterator[tuple[int, pdfium.FPDF_ATTACHMENT]], read: Sequence[AttachedFile]
) -> list[pdfium.FPDF_ATTACHMENT]:
    numbers = {file.number for file in read}
    return [file for number, file in files if number not in numbers]


def _attachments(files: list[pdfium.FPDF_ATTACHMENT]) -> Attachments:
    names = tuple(map(file_name, files))
    are_documents = any(map(is_document_name, names)) or any(
        file_type(file).startswith(_DOCUMENT_TYPES) for file in files
    )
    return Attachments(len(files), names[:MAX_NAMES], are_documents)


def _text(function: object, file: pdfium.FPDF_ATTACHMENT) -> str:
    size = function(file, None, 0)  # type: ignore[operator]
    if not 0 < size <= _MAX_TEXT_BYTES:
        return ""
    buffer = ctypes.create_string_buffer(size)
    function(file, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)  # type: ignore[operator]
    return buffer.raw[:size].decode("utf-16-le", "replace").partition("\0")[0]
