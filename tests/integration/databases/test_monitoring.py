"""Queries of the exporter, on PostgreSQL."""

from __future__ import annotations

import re
import subprocess
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml
from sqlalchemy import create_engine, text, update

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.names import Names
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow
from tests.conftest import ROOT
from tests.integration.conftest import Connect, database_connection
from tests.support.fixtures.older_tables import execute
from tests.support.fixtures.stored_documents import (
    CONFIG,
    CONN_ID,
    REF,
    TASK,
    claim,
    page,
    read,
)
from tests.support.servers.database import Database

CONFIGURATION = ROOT / "deploy" / "monitoring" / "sql_exporter.yaml"
QUERIES = {
    each["name"]: each
    for job in yaml.safe_load(CONFIGURATION.read_text("utf-8"))["jobs"]
    for each in job["queries"]
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


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
def test_the_guides_command_names_prefix_and_schema(server: Database, connect: Connect) -> None:
    guide = (ROOT / "docs" / "guides" / "operations.md").read_text("utf-8")
    ((command, path),) = re.findall(r"^ +sed '(.*)' (deploy/monitoring/\S+)$", guide, re.MULTILINE)
    done = subprocess.run(
        ["sed", command, path], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True
    )
    queries = [each for job in yaml.safe_load(done.stdout)["jobs"] for each in job["queries"]]
    assert [each["name"] for each in queries] == list(QUERIES)
    connect(CONN_ID, database_connection(server))
    admin = create_engine(server.sqlalchemy_url)
    execute(admin, "CREATE SCHEMA team")
    try:
        with (
            closing(open_store(CONN_ID, names=Names("scans_", "team"))) as store,
            closing(store.database.engine.connect()) as connection,
        ):
            read(Ledger(store.database, CONFIG, TASK), page(1))
            found = {
                each["name"]: connection.execute(text(each["query"])).all() for each in queries
            }
        assert found["ocr_documents"] == [("done", 1)]
    finally:
        execute(admin, "DROP SCHEMA team CASCADE")
        admin.dispose()
