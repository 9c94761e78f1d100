"""Plain text of regions, pages and documents: without Markdown marks and HTML tags."""

from __future__ import annotations

import html
import re

from airflow_deepseek_ocr.ocr.exports.exported import ExportedDocument, ExportedPage
from airflow_deepseek_ocr.ocr.markup.markdown import FIGURE_PLACEHOLDER

#: Separates pages, as in the output of pdftotext.
PAGE_BREAK = "\f"

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CELL_END = re.compile(r"</t[dh]\s*>\s*", re.IGNORECASE)
_ROW_END = re.compile(r"</(?:tr|caption|table)\s*>|<br\s*/?>", re.IGNORECASE)
#: A tag of at most 2,000 characters: "a < b" is no tag.
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,2000}>")
_LINE_MARKS = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+(?=\S))", re.MULTILINE)
_INLINE_MARKS = re.compile(r"(\*\*|__|`)(?=\S)(.+?)(?<=\S)\1")


def plain(text: str) -> str:
    """Return text in Markdown and HTML without its marks; cells are separated by tabs, rows by lines."""
    text = _COMMENT.sub("", text.replace(FIGURE_PLACEHOLDER, ""))
    text = _ROW_END.sub("\n", _CELL_END.sub("\t", text))
    text = _INLINE_MARKS.sub(r"\2", _LINE_MARKS.sub("", _TAG.sub("", text)))
    lines = (line.rstrip() for line in html.unescape(text).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def page_text(page: ExportedPage) -> str:
    """Return a page's plain text; empty if its text was not accepted."""
    return plain(page.markdown) if page.is_usable else ""


def document_text(document: ExportedDocument) -> str:
    """Return the plain text of a document, a form feed between pages."""
    return PAGE_BREAK.join(f"{page_text(page)}\n" for page in document.pages)
