"""JSON of a document, and JSON Lines with a line for each page or region."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from airflow_deepseek_ocr.ocr.exports.exported import (
    ExportedDocument,
    ExportedPage,
    ExportedRegion,
)
from airflow_deepseek_ocr.ocr.exports.plain_text import plain


def document_json(document: ExportedDocument) -> str:
    """Return a document with its pages and regions as one JSON object."""
    values = {
        **_facts(document),
        "media_type": document.media_type,
        "page_count": document.page_count,
        "pages": [_page(page) for page in document.pages],
    }
    return json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def pages_jsonl(document: ExportedDocument) -> str:
    """Return a line for each page: ``id``, ``text`` (Markdown) and ``metadata``, as loaders take them."""
    return "".join(map(_line, _page_lines(document)))


def regions_jsonl(document: ExportedDocument) -> str:
    """Return a line for each region with text: ``id``, ``text`` (plain) and ``metadata``."""
    return "".join(map(_line, _region_lines(document)))


def _page_lines(document: ExportedDocument) -> Iterator[dict[str, Any]]:
    for page in document.pages:
        yield {
            "id": f"{document.uri}#page={page.number}",
            "text": page.markdown if page.is_usable else "",
            "metadata": _metadata(document, page),
        }


def _region_lines(document: ExportedDocument) -> Iterator[dict[str, Any]]:
    for page in document.pages:
        for region in page.shown_regions:
            text = plain(region.text) or (region.description or "")
            if text:
                yield {
                    "id": f"{document.uri}#page={page.number}&region={region.position}",
                    "text": text,
                    "metadata": {
                        **_metadata(document, page),
                        "region": region.position,
                        "label": region.label,
                        "boxes": [list(box) for box in region.boxes],
                        "width": page.width,
                        "height": page.height,
                        "region_confidence": region.confidence,
                    },
                }


def _facts(document: ExportedDocument) -> dict[str, Any]:
    return {
        "uri": document.uri,
        "version": document.version,
        "model": document.model,
        "revision": document.revision,
        "prompt": document.prompt,
        "config_key": document.config_key,
    }


def _metadata(document: ExportedDocument, page: ExportedPage) -> dict[str, Any]:
    """Return facts about a page, flat: vector stores filter by them."""
    return {
        "file_name": document.name,
        "file_path": document.uri,
        "version": document.version,
        "page_number": page.number,
        "page_count": document.page_count,
        "status": page.status,
        "score": page.score,
        "confidence": page.confidence,
        "flags": list(page.flags),
        "corrected": page.is_corrected,
        "model": document.model,
    }


def _page(page: ExportedPage) -> dict[str, Any]:
    return {
        "page": page.number,
        "status": page.status,
        "error_code": page.error_code,
        "width": page.width,
        "height": page.height,
        "rotation": page.rotation,
        "score": page.score,
        "confidence": page.confidence,
        "flags": list(page.flags),
        "uncertain_words": [dict(word) for word in page.uncertain_words],
        "accepted": page.is_accepted,
        "corrected": page.is_corrected,
        "markdown": page.markdown if page.is_usable else "",
        "regions": [_region(region) for region in page.shown_regions],
    }


def _region(region: ExportedRegion) -> dict[str, Any]:
    return {
        "region": region.position,
        "label": region.label,
        "text": region.text,
        "boxes": [list(box) for box in region.boxes],
        "confidence": region.confidence,
        "description": region.description,
        "corrected": region.is_corrected,
    }


def _line(values: dict[str, Any]) -> str:
    # JSON allows the line separators of Unicode within texts, loaders that split lines by them do not.
    text = json.dumps(values, ensure_ascii=False, allow_nan=False)
    for separator in ("\u2028", "\u2029", "\x85"):
        text = text.replace(separator, f"\\u{ord(separator):04x}")
    return f"{text}\n"
