"""The example DAGs in a real Airflow, with an S3 server, a database and the small checkpoint."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from sqlalchemy import create_engine

from airflow_deepseek_ocr.exceptions import DocumentError, ErrorCode
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.store.ledger import Ledger, failure
from airflow_deepseek_ocr.store.names import Names
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import TaskInfo
from tests.conftest import ROOT, TINY_MODEL
from tests.support.fakes.batch_engine import CONFIG
from tests.support.servers.airflow import DAGS, Airflow, airflow, aws_connection, standalone
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.process import wait_until
from tests.support.servers.s3 import S3Server

pytestmark = pytest.mark.timeout(600)

DOCUMENTS = ROOT / "demo" / "documents"
EVENT_TIMEOUT_S = 180


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_s3() as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> Iterator[Any]:
    """A client of the S3 server, with the empty bucket ``documents``."""
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
    )
    client.create_bucket(Bucket="documents")
    yield client
    for entry in client.list_objects_v2(Bucket="documents").get("Contents", ()):
        client.delete_object(Bucket="documents", Key=entry["Key"])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


@pytest.fixture
def instance(s3: S3Server, database: Path) -> Iterator[Airflow]:
    connections = {
        "aws_default": aws_connection(s3),
        "deepseek_ocr_db": {"conn_type": "sqlite", "host": str(database)},
        "deepseek_ocr_default": {
            "conn_type": "deepseek_ocr",
            "extra": {
                "engine": "in_process",
                "model": str(TINY_MODEL),
                "resolution": "small",
                "max_output_length": 512,
            },
        },
    }
    settings = {
        "DEEPSEEK_OCR_POLL_SECONDS": "2",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    }
    with airflow(connections, settings) as running:
        yield running


def query(database: Path, sql: str) -> list[Any]:
    if not database.exists():
        return []
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            assert "no such table" in str(error)
            return []


def character_error(text: str, truth: str) -> float:
    """Edit distance over the truth's length, white space folded."""
    text, truth = (" ".join(each.split()) for each in (text, truth))
    row = list(range(len(truth) + 1))
    for i, a in enumerate(text, start=1):
        previous, row[0] = row[0], i
        for j, b in enumerate(truth, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1] / len(truth)


def test_every_dag_parses_without_connections() -> None:
    for path in DAGS.glob("*.py"):
        done = subprocess.run(
            [sys.executable, path], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr


def test_scheduled_dag_reads_what_is_new(bucket: Any, instance: Airflow, database: Path) -> None:
    for name in ("invoice.pdf", "letter.tiff"):
        bucket.upload_file(str(DOCUMENTS / name), "documents", f"in/{name}")
    bucket.put_object(Bucket="documents", Key="in/broken.pdf", Body=b"%PDF-1.7 cut short")

    instance.test_dag("s3_to_database")

    rows = query(database, "SELECT uri, status, error_code, dag_id FROM ocr_documents ORDER BY uri")
    assert rows == [
        ("s3://documents/in/broken.pdf", "failed", "damaged", "s3_to_database"),
        ("s3://documents/in/invoice.pdf", "done", None, "s3_to_database"),
        ("s3://documents/in/letter.tiff", "done", None, "s3_to_database"),
    ]
    ((markdown,),) = query(
        database,
        "SELECT p.markdown FROM ocr_pages p JOIN ocr_documents d ON d.id = p.document_id "
        "WHERE d.uri LIKE '%invoice.pdf'",
    )
    truth = (ROOT / "demo" / "texts" / "invoice.pdf.txt").read_text()
    assert character_error(markdown, truth) < 0.01
    assert query(database, "SELECT COUNT(*) FROM ocr_regions WHERE x1 IS NOT NULL") > [(3,)]


def test_shortest_dag_reads_its_bucket(bucket: Any, instance: Airflow, database: Path) -> None:
    bucket.create_bucket(Bucket="invoices")
    bucket.upload_file(str(DOCUMENTS / "table.png"), "invoices", "table.png")

    instance.test_dag("invoices")

    rows = query(database, "SELECT uri, status, dag_id FROM ocr_documents")
    assert rows == [("s3://invoices/table.png", "done", "invoices")]


def test_report_dag_reads_a_list(bucket: Any, instance: Airflow, database: Path) -> None:
    for name in ("table.png", "invoice.pdf"):
        bucket.upload_file(str(DOCUMENTS / name), "documents", name)
    documents = [
        "s3://documents/table.png",
        "s3://documents/invoice.pdf",
        "s3://documents/none.pdf",
    ]

    instance.test_dag("documents_report", {"documents": documents, "resolution": "tiny"})

    rows = query(database, "SELECT uri, status, pages, vision_tokens FROM ocr_report ORDER BY uri")
    assert rows == [
        (documents[1], "done", 1, 73),
        (documents[2], "failed", 0, None),
        (documents[0], "done", 1, 73),
    ]


def test_event_driven_dag_reads_documents_as_they_arrive(
    bucket: Any, instance: Airflow, database: Path, tmp_path: Path
) -> None:
    # Alone: the scheduled DAG would poll the same bucket at the full hour.
    (tmp_path / "dags").mkdir()
    shutil.copy(DAGS / "s3_events_to_database.py", tmp_path / "dags")
    instance.env["AIRFLOW__CORE__DAGS_FOLDER"] = str(tmp_path / "dags")

    def stored() -> list[str]:
        return [uri for (uri,) in query(database, "SELECT uri FROM ocr_documents ORDER BY uri")]

    with standalone(instance) as process:
        bucket.upload_file(str(DOCUMENTS / "table.png"), "documents", "first.png")
        wait_until(lambda: len(stored()) == 1, EVENT_TIMEOUT_S, "the first document", process)
        bucket.upload_file(str(DOCUMENTS / "invoice.pdf"), "documents", "second.pdf")
        wait_until(lambda: len(stored()) == 2, EVENT_TIMEOUT_S, "the second document", process)

    assert stored() == ["s3://documents/first.png", "s3://documents/second.pdf"]
    claims = query(database, "SELECT claims, dag_id, run_id FROM ocr_documents")
    assert all(row[:2] == (1, "s3_events_to_database") for row in claims)
    assert all(re.match("asset_triggered", run) for *_, run in claims)


@pytest.mark.parametrize("prefix", ["", pytest.param("scans_", marks=pytest.mark.slow)])
def test_the_alert_names_each_failure_once(
    prefix: str, instance: Airflow, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(instance.env, "AIRFLOW__DEEPSEEK_OCR__DB_TABLE_PREFIX", prefix)
    names = Names(prefix)
    with closing(Store(create_engine(f"sqlite:///{database}"), names=names)) as store:
        store.ensure_schema()
        ledger = Ledger(store.database, CONFIG, TaskInfo())
        for name in ("bad", "half"):
            ref = DocumentRef(f"s3://b/{name}.pdf")
            ledger.fail_unclaimed(ref, failure(DocumentError(ErrorCode.DAMAGED, "It is damaged.")))
    with closing(sqlite3.connect(database)) as connection, connection:
        partial = f"UPDATE {prefix}ocr_documents SET status = 'partial' WHERE uri LIKE '%half%'"
        connection.execute(partial)

    with pytest.raises(
        AssertionError, match=r"(?s)Documents that failed: 2.*bad.pdf .failed.: It is"
    ):
        instance.test_dag("failed_documents")
    alerts = query(database, f"SELECT document_id, claims FROM {prefix}ocr_alerts")
    assert alerts == [(1, 1), (2, 1)]
    instance.test_dag("failed_documents")


@pytest.mark.slow
def test_results_are_handed_on_to_an_index(bucket: Any, instance: Airflow) -> None:
    """tests/integration/airflow/test_result_dags.py runs the same task without Airflow's processes."""
    bucket.create_bucket(Bucket="index")
    bucket.upload_file(str(DOCUMENTS / "invoice.pdf"), "documents", "in/invoice.pdf")

    instance.test_dag("results_to_index")

    (entry,) = bucket.list_objects_v2(Bucket="index")["Contents"]
    body = bucket.get_object(Bucket="index", Key=entry["Key"])["Body"].read()
    (line,) = (json.loads(line) for line in body.splitlines())
    assert line["id"] == "s3://documents/in/invoice.pdf#page=1"
    assert "Invoice" in line["text"]
    # The page is stored and good, so people are asked nothing.
    log = instance.test_dag("review_pages", {"below": 0})
    assert "ask" in log
