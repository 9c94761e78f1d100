"""Documents as their exports take them."""

from __future__ import annotations

from typing import Any

from airflow_deepseek_ocr.ocr.exports.exported import (
    ExportedDocument,
    ExportedPage,
    ExportedRegion,
)

TABLE = "<table><tr><th>Item</th><th>EUR</th></tr><tr><td>Paper</td><td>1,50</td></tr></table>"


def region(position: int, text: str, box: Any = None, **values: Any) -> ExportedRegion:
    """Return a region with one box, or with none."""
    values.setdefault("label", "text")
    return ExportedRegion(position=position, text=text, boxes=(box,) if box else (), **values)


def page(number: int = 1, *regions: ExportedRegion, **values: Any) -> ExportedPage:
    """Return a page whose Markdown is that of its regions."""
    defaults: dict[str, Any] = {
        "status": "ok",
        "width": 400,
        "height": 300,
        "markdown": "\n\n".join(each.text or "<!-- image -->" for each in regions),
    }
    return ExportedPage(number=number, regions=regions, **defaults | values)


def document(*pages: ExportedPage, **values: Any) -> ExportedDocument:
    """Return a document in S3."""
    defaults: dict[str, Any] = {
        "uri": "s3://inbox/2026/letter 1.pdf",
        "version": "v1",
        "version_key": "a" * 64,
        "config_key": "b" * 64,
        "model": "deepseek-ai/DeepSeek-OCR",
        "prompt": "markdown",
        "media_type": "application/pdf",
        "page_count": len(pages),
    }
    return ExportedDocument(pages=pages, **defaults | values)


def sample() -> ExportedDocument:
    """Return a document of a title, a table, a figure, and a page that failed."""
    first = page(
        1,
        region(1, "# Order 7", (20, 20, 220, 50), label="title", confidence=0.95),
        region(2, TABLE, (20, 80, 380, 140), label="table"),
        region(3, "", (40, 160, 200, 280), label="image"),
        score=0.9,
        confidence=0.9,
    )
    second = page(2, region(1, "rejected", (0, 0, 9, 9)), status="failed", error_code="repetition")
    return document(first, second)
