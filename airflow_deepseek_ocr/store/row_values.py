"""Conversion of results to column values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig, document_key
from airflow_deepseek_ocr.ocr.results import Box, PageResult, Region


@dataclass(frozen=True)
class TaskInfo:
    """The task instance that claims a row; all None outside Airflow."""

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    try_number: int | None = None


def document_values(ref: DocumentRef, config: ProcessingConfig) -> dict[str, Any]:
    """Return the columns of ``ocr_documents`` that are known before the document is opened."""
    return {
        "document_key": document_key(ref, config),
        "version_key": ref.version_key,
        "uri": _storable(ref.uri),
        "version": _storable(ref.version),
        "etag": ref.etag,
        "size_bytes": ref.size,
        "last_modified": ref.last_modified,
        "config_key": config.key,
        "config": config.to_json(),
        "model": config.model,
        "revision": config.revision,
        "prompt": config.prompt,
        "resolution": config.resolution,
        "media_type": "",
        "page_count": 0,
    }


def error_values(code: str | None, error: str | None) -> dict[str, Any]:
    """Return the columns ``error_code`` and ``error``."""
    return {"error_code": code, "error": _storable(error)}


def page_values(document_id: int, page: PageResult) -> dict[str, Any]:
    """Return the columns of ``ocr_pages`` except ``created_at``."""
    return {
        "document_id": document_id,
        "page_number": page.number,
        "status": page.status.value,
        **error_values(page.error_code, page.error),
        "resolution": page.resolution,
        "width": page.width,
        "height": page.height,
        "text": _storable(page.text),
        "markdown": _storable(page.markdown),
        "vision_tokens": page.vision_tokens,
        "text_tokens": page.text_tokens,
        "compression_ratio": page.compression_ratio,
        "seconds": page.seconds,
        "score": page.score,
        "flags": json.dumps(page.flags),
        "agreement": page.agreement,
        "agreement_ordered": page.agreement_ordered,
        "attempt_count": len(page.attempts),
        "attempts": json.dumps([attempt.to_dict() for attempt in page.attempts]),
        "vision_tokens_saved": page.vision_tokens_saved,
        "is_final": not page.retryable,
    }


def region_values(page_id: int, position: int, region: Region) -> dict[str, Any]:
    """Return the columns of ``ocr_regions``."""
    x1, y1, x2, y2 = _enclosing(region.boxes)
    return {
        "page_id": page_id,
        "position": position,
        "label": _storable(region.label),
        "text": _storable(region.text),
        "x1": x1,
        "y1": y1,
        "x2": x2,
        "y2": y2,
        "boxes": json.dumps([vars(box) for box in region.boxes]),
    }


def _enclosing(boxes: Iterable[Box]) -> tuple[int, int, int, int] | tuple[None, None, None, None]:
    pixels = [box.pixels for box in boxes]
    if not pixels:
        return (None, None, None, None)
    # The model may swap corners.
    xs = [x for box in pixels for x in (box[0], box[2])]
    ys = [y for box in pixels for y in (box[1], box[3])]
    return (min(xs), min(ys), max(xs), max(ys))


def _storable(text: str | None) -> str | None:
    """Return text that every database accepts: PostgreSQL rejects NUL, all reject lone surrogates."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
