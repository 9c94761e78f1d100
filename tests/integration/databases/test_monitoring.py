"""Queries of the exporter, on PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml
from sqlalchemy import text, update

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow
from tests.conftest import ROOT
from tests.support.fixtures.stored_documents import (
    CONFIG,
    REF,
    TASK,
    claim,
    page,
    read,
)

CONFIGURATION = ROOT / "deploy" / "monitoring" / "sql_exporter.yaml"
QUERIES = {
    each["name"]: each
    for each in yaml.safe_load(CONFIGURATION.read_text("utf-8"))["jobs"][0]["queries"]
}


def rows(store: Store, name: str) -> list[dict[str, object]]:
    with closing(store.database.engine.connect()) as connection:
        return [dict(row) for row in connection.execute(text(QUERIES[name]["query"])).mappings()]


@pytest.mark.parametrize("connection", ["postgres"], indirect=True)
def test_the_queries_count_what_they_say(store: Store) -> None:
    for name in QUERIES:
        assert all(value == 0 for row in rows(store, name) for value in row.values())
    ledger = Ledger(store.database, CONFIG, TASK)
    read(ledger, page(1))
    lease = claim(ledger, replace(REF, uri="s3://bucket/failed"))
    ledger.fail(lease, failure(DocumentError(ErrorCode.DAMAGED, "damaged")))
    claim(ledger, replace(REF, uri="s3://bucket/in work"))
    for name, query in QUERIES.items():
        for row in rows(store, name):
            assert set(row) == {*query.get("labels", ()), *query["values"]}
    counted = {row["status"]: row["documents"] for row in rows(store, "ocr_documents")}
    assert counted == {"done": 1, "failed": 1, "processing": 1}
    assert rows(store, "ocr_recent_failures") == [{"share": 0.5}]
    assert rows(store, "ocr_abandoned_documents") == [{"documents": 0}]
    ((seconds,),) = [row.values() for row in rows(store, "ocr_last_page")]
    assert 0 <= seconds < 600  # type: ignore[operator]
    with store.database.engine.begin() as connection:
        connection.execute(
            update(DocumentRow)
            .where(DocumentRow.status == "processing")
            .values(lease_expires_at=DatabaseTime(-timedelta(minutes=11)))
        )
    assert rows(store, "ocr_abandoned_documents") == [{"documents": 1}]
