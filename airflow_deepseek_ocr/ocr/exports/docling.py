"""DoclingDocument JSON, as docling-core reads it: texts, tables and pictures with their places."""

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
from airflow_deepseek_ocr.ocr.markup.page_tables import page_tables
from airflow_deepseek_ocr.ocr.markup.table_grid import Table

SCHEMA_VERSION = "1.10.0"
#: Labels of docling for those of the model; others are text.
_LABELS = {
    "title": "title",
    "sub_title": "section_header",
    "image_caption": "caption",
    "table_caption": "caption",
    "equation": "formula",
    "footer": "page_footer",
    "header": "page_header",
    "page_number": "page_footer",
    "footnote": "footnote",
}
_BODY = {"$ref": "#/body"}


class _Items:
    """The items of a document, in reading order."""

    def __init__(self) -> None:
        self.by_kind: dict[str, list[dict[str, Any]]] = {"texts": [], "tables": [], "pictures": []}
        self.order: list[dict[str, str]] = []

    def add(self, kind: str, values: dict[str, Any], place: list[dict[str, Any]]) -> None:
        reference = f"#/{kind}/{len(self.by_kind[kind])}"
        self.order.append({"$ref": reference})
        self.by_kind[kind].append(
            {
                "self_ref": reference,
                "parent": _BODY,
                "children": [],
                "content_layer": "body",
                **values,
                "prov": place,
            }
        )


def docling_json(document: ExportedDocument) -> str:
    """Return a document as DoclingDocument JSON."""
    items = _Items()
    for page in document.pages:
        for region in page.shown_regions:
            _add(items, page, region)
    values = {
        "schema_name": "DoclingDocument",
        "version": SCHEMA_VERSION,
        "name": document.name,
        "origin": {
            "mimetype": document.media_type or "application/octet-stream",
            # Docling's own hash of the content has 64 bits; the version's takes its place.
            "binary_hash": int(document.version_key[:16] or "0", 16),
            "filename": document.name,
            "uri": None,
        },
        "furniture": _group("#/furniture", [], "furniture"),
        "body": _group("#/body", items.order, "body"),
        "groups": [],
        **items.by_kind,
        "key_value_items": [],
        "form_items": [],
        "pages": {
            str(page.number): {
                "size": {"width": float(page.width), "height": float(page.height)},
                "page_no": page.number,
            }
            for page in document.pages
        },
    }
    return json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _add(items: _Items, page: ExportedPage, region: ExportedRegion) -> None:
    tables = list(page_tables(region.text))
    if region.is_picture:
        picture = {"label": "picture", "captions": [], "references": [], "footnotes": []}
        items.add("pictures", picture | {"annotations": []}, list(_place(page, region, 0)))
        caption = plain(region.text) or region.description or ""
        if caption:
            items.add("texts", _text(caption, "caption"), list(_place(page, region, len(caption))))
    elif tables:
        for table in tables:
            items.add("tables", _table(table), list(_place(page, region, 0)))
    elif text := plain(region.text):
        label = _LABELS.get(region.label, "text")
        items.add("texts", _text(text, label), list(_place(page, region, len(text))))


def _group(reference: str, children: list[dict[str, str]], layer: str) -> dict[str, Any]:
    return {
        "self_ref": reference,
        "children": children,
        "content_layer": layer,
        "name": "_root_",
        "label": "unspecified",
    }


def _text(text: str, label: str) -> dict[str, Any]:
    values: dict[str, Any] = {"label": label, "orig": text, "text": text}
    return values | {"level": 1} if label == "section_header" else values


def _table(table: Table) -> dict[str, Any]:
    cells = [
        {
            "row_span": cell.row_span,
            "col_span": cell.column_span,
            "start_row_offset_idx": cell.row,
            "end_row_offset_idx": cell.row + cell.row_span,
            "start_col_offset_idx": cell.column,
            "end_col_offset_idx": cell.column + cell.column_span,
            "text": cell.text,
            "column_header": cell.is_header,
            "row_header": False,
            "row_section": False,
        }
        for cell in table.cells
    ]
    return {
        "label": "table",
        "captions": [],
        "references": [],
        "footnotes": [],
        "data": {
            "table_cells": cells,
            "num_rows": table.row_count,
            "num_cols": table.column_count,
        },
    }


def _place(page: ExportedPage, region: ExportedRegion, length: int) -> Iterator[dict[str, Any]]:
    """Yield the places of a region.

    :param length: characters of its text.
    """
    for left, top, right, bottom in region.boxes:
        yield {
            "page_no": page.number,
            "bbox": {
                "l": float(left),
                "t": float(top),
                "r": float(right),
                "b": float(bottom),
                "coord_origin": "TOPLEFT",
            },
            "charspan": [0, length],
        }
