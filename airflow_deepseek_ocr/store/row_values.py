"""Conversion of results to column values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger
from sqlalchemy.dialects import mysql

from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig, document_key
from airflow_deepseek_ocr.ocr.results import Box, PageResult, Region
from airflow_deepseek_ocr.store.tables import Base, DocumentRow, PageRow, RegionRow

#: Characters of an error that are stored; messages of other programs have no limit.
_MAX_ERROR = 8_000
#: MySQL's TEXT.
_MAX_TEXT_BYTES = 65_535
_MAX_INTEGER, _MAX_BIG_INTEGER = 2**31 - 1, 2**63 - 1
_MYSQL = mysql.dialect()


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
    values = {
        "document_key": document_key(ref, config),
        "version_key": ref.version_key,
        "uri": ref.uri,
        "version": ref.version,
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
    return fit(DocumentRow, values)


def error_values(code: str | None, error: str | None) -> dict[str, Any]:
    """Return the columns ``error_code`` and ``error``."""
    error = error and error[:_MAX_ERROR]
    return fit(DocumentRow, {"error_code": code, "error": error})


def task_values(task: TaskInfo) -> dict[str, Any]:
    """Return the columns of the task instance."""
    return fit(DocumentRow, vars(task))


def page_values(document_id: int, page: PageResult) -> dict[str, Any]:
    """Return the columns of ``ocr_pages`` except ``created_at``."""
    values = {
        "document_id": document_id,
        "page_number": page.number,
        "status": page.status.value,
        **error_values(page.error_code, page.error),
        "resolution": page.resolution,
        "width": page.width,
        "height": page.height,
        "text": page.text,
        "markdown": page.markdown,
        "vision_tokens": page.vision_tokens,
        "text_tokens": page.text_tokens,
        "compression_ratio": page.compression_ratio,
        "seconds": page.seconds,
        "score": page.score,
        "flags": json.dumps(page.flags),
        "agreement": page.agreement,
        "agreement_ordered": page.agreement_ordered,
        "attempt_count": page.read_count,
        "attempts": _json([attempt.to_dict() for attempt in page.attempts]),
        "vision_tokens_saved": page.vision_tokens_saved,
        "is_final": not page.retryable,
        "confidence": page.confidence,
        "rotation": page.rotation,
        "uncertain_words": None
        if page.confidence is None
        else _json([word.to_dict() for word in page.uncertain_words]),
    }
    return fit(PageRow, values)


def region_values(page_id: int, position: int, region: Region) -> dict[str, Any]:
    """Return the columns of ``ocr_regions``."""
    x1, y1, x2, y2 = _enclosing(region.boxes)
    values = {
        "page_id": page_id,
        "position": position,
        "label": region.label,
        "text": region.text,
        "x1": x1,
        "y1": y1,
        "x2": x2,
        "y2": y2,
        "boxes": json.dumps([box.to_dict() for box in region.boxes]),
        "confidence": region.confidence,
        "description": region.description,
        "word_confidences": None
        if region.word_confidences is None
        else json.dumps(region.word_confidences, separators=(",", ":")),
    }
    return fit(RegionRow, values)


def _enclosing(boxes: Iterable[Box]) -> tuple[int, int, int, int] | tuple[None, None, None, None]:
    pixels = [box.pixels for box in boxes]
    if not pixels:
        return (None, None, None, None)
    # The model may swap corners.
    xs = [x for box in pixels for x in (box[0], box[2])]
    ys = [y for box in pixels for y in (box[1], box[3])]
    return (min(xs), min(ys), max(xs), max(ys))


def fit(table: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values that the table's columns hold on every database."""
    columns = _columns(table)
    return {name: _fitting(columns[name], value) for name, value in values.items()}


class _Column(NamedTuple):
    """What a column holds.

    :param length: characters; None without a limit.
    :param is_long: whether MySQL's type has more than 64 KiB.
    :param most: largest whole number.
    :param nullable: whether it takes no value.
    """

    length: int | None
    is_long: bool
    most: int
    nullable: bool


@cache
def _columns(table: type[Base]) -> dict[str, _Column]:
    """Return the columns of a table by their name."""
    return {
        column.name: _Column(
            getattr(column.type, "length", None),
            isinstance(column.type.dialect_impl(_MYSQL), mysql.LONGTEXT),
            _MAX_BIG_INTEGER if isinstance(column.type, BigInteger) else _MAX_INTEGER,
            bool(column.nullable),
        )
        for column in table.__table__.columns
    }


def _fitting(column: _Column, value: Any) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        value = storable(value)
        if column.length is not None:
            return value[: column.length]
        # A character has at most four bytes.
        if len(value) <= _MAX_TEXT_BYTES // 4 or column.is_long:
            return value
        return value.encode()[:_MAX_TEXT_BYTES].decode(errors="ignore")
    if isinstance(value, int):
        return max(-column.most, min(value, column.most))
    if isinstance(value, float) and not math.isfinite(value):
        return None if column.nullable else 0.0
    return value


def _json(objects: Iterable[Mapping[str, Any]]) -> str:
    """Return JSON that PostgreSQL casts to ``jsonb``: as escapes, it would be stored with any character."""
    return json.dumps(
        [
            {name: storable(each) if isinstance(each, str) else each for name, each in row.items()}
            for row in objects
        ]
    )


def storable(text: str) -> str:
    """Return text that every database accepts: PostgreSQL rejects NUL, all reject lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
