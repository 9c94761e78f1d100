"""Comparison of exported files with their manifests and rows: missing, half written and left over ones."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import DocumentStatus
from airflow_deepseek_ocr.store.tables import DocumentRow, ExportRow
from airflow_deepseek_ocr.targets.names import directory_of


def audit_exports(
    url: str, directory: Path, formats: Sequence[str], current: Collection[str]
) -> list[str]:
    """Return what is wrong with the exports.

    :param url: SQLAlchemy's, of the results database.
    :param directory: the place of exports.
    :param formats: names of the formats that each document must have.
    :param current: MD5 sums of the versions in the bucket; others may lack exports, but have no half ones.
    """
    engine = create_engine(url)
    try:
        with Session(engine) as session:
            documents = list(session.scalars(select(DocumentRow)))
            rows = defaultdict(set)
            for row in session.scalars(select(ExportRow)):
                rows[row.document_id].add((row.name, row.size_bytes, row.sha256))
    finally:
        engine.dispose()
    found = []
    for row in documents:
        if row.status != DocumentStatus.DONE.value:
            continue
        place = directory / directory_of(row.uri, row.version_key, row.config_key)
        must = set(formats) if row.version in current else set()
        found += [f"{row.uri} {row.version}: {what}" for what in _of(place, rows[row.id], must)]
    return found


def _of(place: Path, rows: set[tuple[str, int, str]], formats: set[str]) -> Iterator[str]:
    manifest = place / "manifest.json"
    if not manifest.exists():
        if formats:
            yield "no manifest"
        if rows:
            yield "rows of files without a manifest"
        return
    values: Any = json.loads(manifest.read_text())
    if missing := formats - values["formats"].keys():
        yield f"no {missing}"
    files = {
        (each["name"], each["size_bytes"], each["sha256"])
        for entry in values["formats"].values()
        for each in entry["files"]
    }
    if not files:
        yield "an empty manifest"
    for name, size, digest in files:
        path = place / name
        content = path.read_bytes() if path.exists() else b""
        if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
            yield f"{name} is missing or half"
    content = manifest.read_bytes()
    files.add(("manifest.json", len(content), hashlib.sha256(content).hexdigest()))
    if (rows or formats) and rows != files:
        yield f"rows and files differ: {rows ^ files}"
    written = {
        str(path.relative_to(place))
        for path in place.rglob("*")
        # Files under a temporary name are those of a task that died; no reader takes them.
        if path.is_file() and not path.name.startswith(".")
    }
    if left := written - {name for name, _, _ in files}:
        yield f"files that no manifest has: {left}"
