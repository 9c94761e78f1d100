"""The demo's view of a results database: a table, and pictures of the pages with their regions."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from airflow_deepseek_ocr.exceptions import DocumentError
from airflow_deepseek_ocr.ocr.documents.open import open_document
from airflow_deepseek_ocr.ocr.exports.overlay import draw_regions
from airflow_deepseek_ocr.ocr.results import Box, Region

_COLUMNS = (
    "document",
    "page",
    "mode",
    "status",
    "chars",
    "vision",
    "text",
    "ratio",
    "sure",
    "s",
    "first words",
)

#: Uncertain words of a page that are printed.
_NAMED = 8

_PAGES = """
SELECT d.uri, d.status AS document_status, d.error_code AS document_error, d.error AS document_reason,
       p.page_number, p.resolution, p.status, p.error_code, p.error, p.markdown,
       p.vision_tokens, p.text_tokens, p.compression_ratio, p.confidence, p.uncertain_words, p.seconds, p.id
FROM ocr_current_documents d LEFT JOIN ocr_pages p ON p.document_id = COALESCE(d.result_id, d.id)
ORDER BY d.uri, p.page_number
"""


def print_table(database: Path) -> None:
    """Print one line per page, and per document without pages."""
    lines = [_COLUMNS, *(_line(row) for row in _query(database, _PAGES))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    for line in lines:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )


def _line(row: sqlite3.Row) -> tuple[str, ...]:
    name = row["uri"].partition("://")[2].partition("/")[2]
    if row["page_number"] is None:
        return (name, "-", "-", row["document_status"], *[""] * 6, row["document_error"] or "")
    status = row["status"] + (f": {row['error_code']}" if row["error_code"] else "")
    words = " ".join(row["markdown"].split())
    ratio = "" if row["compression_ratio"] is None else f"{row['compression_ratio']:.1f}"
    return (
        name,
        str(row["page_number"]),
        row["resolution"],
        status,
        str(len(row["markdown"])),
        str(row["vision_tokens"]),
        str(row["text_tokens"]),
        ratio,
        "" if row["confidence"] is None else f"{row['confidence']:.1%}",
        f"{row['seconds']:.1f}",
        words[:48],
    )


def print_failures(database: Path) -> None:
    """Print the reason of each failed page, and of each document without pages."""
    for row in _query(database, _PAGES):
        name = row["uri"].partition("://")[2].partition("/")[2]
        if row["page_number"] is None and row["document_reason"]:
            print(f"\n{name} failed: {row['document_reason']}")
        elif row["error"]:
            print(f"\n{name}, page {row['page_number']}, failed: {row['error']}")


def print_uncertain_words(database: Path) -> None:
    """Print the words of each page of which the model was least sure."""
    for row in _query(database, _PAGES):
        words = sorted(
            json.loads(row["uncertain_words"] or "[]"), key=lambda each: each["confidence"]
        )
        if not words:
            continue
        name = row["uri"].partition("://")[2].partition("/")[2]
        named = ", ".join(f"{each['word']} ({each['confidence']:.0%})" for each in words[:_NAMED])
        more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
        print(f"\n{name}, page {row['page_number']}, uncertain words: {named}{more}")


def write_overlays(database: Path, documents: Path, directory: Path) -> int:
    """Draw each page's boxes over its image; returns how many pictures were written."""
    written = 0
    for page in _query(database, _PAGES):
        if page["page_number"] is None:
            continue
        name = page["uri"].partition("://")[2].partition("/")[2]
        rows = _query(
            database,
            "SELECT label, boxes, confidence FROM ocr_regions WHERE page_id = ? ORDER BY position",
            page["id"],
        )
        try:
            with open_document(documents / name) as document:
                image = document.page(page["page_number"]).image
        except DocumentError:
            continue
        regions = [
            Region(
                row["label"],
                "",
                tuple(
                    Box(tuple(box["normalized"]), tuple(box["pixels"]))
                    for box in json.loads(row["boxes"])
                ),
                row["confidence"],
            )
            for row in rows
        ]
        words = json.loads(page["uncertain_words"] or "[]")
        draw_regions(image, regions, {word["region"] for word in words}).save(
            directory / f"{name.replace('/', '_')}-{page['page_number']:04}.png"
        )
        written += 1
    return written


def _query(database: Path, sql: str, *parameters: object) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(sql, parameters).fetchall()
