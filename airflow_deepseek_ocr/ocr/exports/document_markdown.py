"""Markdown of a whole document, with links to the files of its figures."""

from __future__ import annotations

import re

from airflow_deepseek_ocr.ocr.exports.exported import (
    ExportedDocument,
    ExportedPage,
    ExportedRegion,
)
from airflow_deepseek_ocr.ocr.markup.markdown import FIGURE_PLACEHOLDER

#: Characters that end the text of a link, or begin another mark.
_LINK_MARKS = re.compile(r"([\\\[\]<>`*_!])")


def figure_file(page: ExportedPage, region: ExportedRegion) -> str:
    """Return the name of a figure's file in the directory of the document."""
    return f"figures/p{page.number:04d}-{region.position}.webp"


def document_markdown(document: ExportedDocument) -> str:
    """Return the Markdown of a document.

    Each page begins with a comment that names it. Pages whose text was not accepted have only the comment,
    with the reason.
    """
    return "\n".join(f"{_heading(page)}\n\n{_body(page)}" for page in document.pages)


def _heading(page: ExportedPage) -> str:
    if page.is_usable:
        return f"<!-- page {page.number} -->"
    return f"<!-- page {page.number}: not read ({page.error_code or page.status}) -->"


def _body(page: ExportedPage) -> str:
    if not page.is_usable:
        return ""
    text, at = page.markdown, 0
    for region in page.figures:
        link = f"![{_alternative(region)}]({figure_file(page, region)})"
        # A figure with text has that text in the Markdown, others have a placeholder.
        marker = region.text or FIGURE_PLACEHOLDER
        found = text.find(marker, at)
        if found < 0:
            text = f"{text}\n\n{link}" if text else link
            at = len(text)
        elif region.text:
            text = f"{text[:found]}{link}\n\n{text[found:]}"
            at = found + len(link) + 2 + len(marker)
        else:
            text = f"{text[:found]}{link}{text[found + len(marker) :]}"
            at = found + len(link)
    return f"{text.strip()}\n" if text.strip() else ""


def _alternative(region: ExportedRegion) -> str:
    """Return the text for readers that do not show a figure, in one line."""
    return _LINK_MARKS.sub(r"\\\1", " ".join(region.figure_name.split()))
