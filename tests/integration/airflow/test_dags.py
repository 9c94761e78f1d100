"""The example DAGs in a real Airflow, with an S3 server, a database and the small checkpoint."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
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

pytestmark = pytest.mark.timeout(900)

DOCUMENTS = ROOT / "demo" / "documents"
EVENT_TIMEOUT_S = 180


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_s3() as server:
        yield server


@pytest.fixture(scope="module")
def client(s3: S3Server) -> Any:
    return boto3.client(
        "s3",
        **s3.client_arguments,
    )


def connections(s3: S3Server, database: Path) -> dict[str, dict[str, Any]]:
    return {
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


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results") / "results.db"


@pytest.fixture(scope="module")
def instance(s3: S3Server, database: Path) -> Iterator[Airflow]:
    with airflow(connections(s3, database)) as running:
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


UPLOADS = {
    "backlog/first.png": "table.png",
    "backlog/second.png": "table.png",
    "contracts/table.png": "table.png",
    "gpu/table.png": "table.png",
    "in/invoice.pdf": "invoice.pdf",
    "in/letter.tiff": "letter.tiff",
    "letters/table.png": "table.png",
    "listed.png": "table.png",
    "pods/table.png": "table.png",
}
REPORTED = [
    "s3://documents/in/letter.tiff",
    "s3://documents/listed.png",
    "s3://documents/none.pdf",
]
#: DAGs with the conf of their run.
QUICK = {
    "s3_to_database": {"prefix": "in/"},
    "invoices": {},
    "backlog": {"prefix": "backlog/"},
    "manifest_to_database": {"manifest": "s3://documents/manifest.txt"},
    "documents_report": {"documents": REPORTED, "resolution": "tiny"},
}
OTHERS = {
    "two_qualities": {"fine": "contracts/"},
    "results_to_index": {"prefix": "s3://documents/in/invoice"},
    # Its pages are good, so people are asked nothing.
    "review_pages": {"prefix": "s3://documents/in/invoice", "below": 0},
    "figures_described": {"prefix": "s3://documents/listed"},
    # Pods are for executors; these runs are in one process.
    "gpu_pods": {"prefix": "gpu/"},
    "s3_to_database_pods": {"prefix": "pods/"},
}
States = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def uploads(client: Any) -> None:
    for name in ("documents", "invoices", "index"):
        client.create_bucket(Bucket=name)
    for key, name in UPLOADS.items():
        client.upload_file(str(DOCUMENTS / name), "documents", key)
    client.put_object(Bucket="documents", Key="in/broken.pdf", Body=b"%PDF-1.7 cut short")
    manifest = b"s3://documents/listed.png\r\n\r\n"
    client.put_object(Bucket="documents", Key="manifest.txt", Body=manifest)
    client.upload_file(str(DOCUMENTS / "table.png"), "invoices", "table.png")


@pytest.fixture(scope="module")
def ran(uploads: None, instance: Airflow) -> States:
    """The states of tasks; the runs share a process, which imports Airflow and torch once."""
    return instance.test_dags(QUICK)


@pytest.fixture(scope="module")
def others(uploads: None, instance: Airflow) -> States:
    return instance.test_dags(OTHERS)


def test_tasks_that_read_succeed(ran: States) -> None:
    assert set(ran) == set(QUICK)
    assert {state for tasks in ran.values() for states in tasks.values() for state in states} == {
        "success"
    }


@pytest.mark.slow
def test_tasks_of_the_other_dags_succeed(others: States) -> None:
    review = others["review_pages"]
    assert {*review.pop("review.ask"), *review.pop("review.store")} == {"skipped"}
    found = {state for tasks in others.values() for states in tasks.values() for state in states}
    assert (set(others), found) == (set(OTHERS), {"success"})


@pytest.mark.usefixtures("ran")
def test_scheduled_dag_reads_what_is_new(database: Path) -> None:
    rows = query(
        database,
        "SELECT uri, status, error_code FROM ocr_documents WHERE dag_id = 's3_to_database' ORDER BY uri",
    )
    assert rows == [
        ("s3://documents/in/broken.pdf", "failed", "damaged"),
        ("s3://documents/in/invoice.pdf", "done", None),
        ("s3://documents/in/letter.tiff", "done", None),
    ]
    ((markdown,),) = query(
        database,
        "SELECT p.markdown FROM ocr_pages p JOIN ocr_documents d ON d.id = p.document_id "
        "WHERE d.uri LIKE '%invoice.pdf' AND d.dag_id = 's3_to_database'",
    )
    truth = (ROOT / "demo" / "texts" / "invoice.pdf.txt").read_text()
    assert character_error(markdown, truth) < 0.01
    assert query(database, "SELECT COUNT(*) FROM ocr_regions WHERE x1 IS NOT NULL") > [(3,)]


def read_by(dag_id: str, database: Path) -> list[tuple[str, str, int]]:
    """Return the documents that a DAG has read, with the mode and the number of the mapped task."""
    rows = query(
        database,
        "SELECT uri, resolution, COALESCE(map_index, -1) FROM ocr_documents "
        f"WHERE dag_id = '{dag_id}' AND status = 'done' ORDER BY uri",
    )
    return [(uri.removeprefix("s3://"), *more) for uri, *more in rows]


@pytest.mark.usefixtures("ran")
def test_batches_and_lists_are_read(database: Path) -> None:
    assert read_by("invoices", database) == [("invoices/table.png", "small", 0)]
    assert read_by("backlog", database) == [
        ("documents/backlog/first.png", "small", 0),
        ("documents/backlog/second.png", "small", 0),
    ]
    assert read_by("manifest_to_database", database) == [("documents/listed.png", "small", -1)]


@pytest.mark.slow
@pytest.mark.usefixtures("others")
def test_prefixes_are_read_in_their_modes_and_by_pods(database: Path) -> None:
    assert read_by("two_qualities", database) == [
        ("documents/contracts/table.png", "gundam", 0),
        ("documents/letters/table.png", "small", 0),
    ]
    assert read_by("gpu_pods", database) == [("documents/gpu/table.png", "small", 0)]
    assert read_by("s3_to_database_pods", database) == [("documents/pods/table.png", "small", 0)]


@pytest.mark.usefixtures("ran")
def test_a_report_has_each_document_of_the_list(database: Path) -> None:
    rows = query(database, "SELECT uri, status, pages, vision_tokens FROM ocr_report ORDER BY uri")
    assert rows == [
        (REPORTED[0], "done", 2, 2 * 73),
        (REPORTED[1], "done", 1, 73),
        (REPORTED[2], "failed", 0, None),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("others")
def test_pages_are_passed_to_an_index(client: Any) -> None:
    (entry,) = client.list_objects_v2(Bucket="index")["Contents"]
    body = client.get_object(Bucket="index", Key=entry["Key"])["Body"].read()
    (line,) = (json.loads(line) for line in body.splitlines())
    assert line["id"] == "s3://documents/in/invoice.pdf#page=1"
    assert "Invoice" in line["text"]


@pytest.mark.slow
@pytest.mark.usefixtures("ran", "others")
def test_figures_are_part_of_the_configuration(database: Path) -> None:
    """The same document, in rows of its configuration; test_result_dags.py has descriptions."""
    keys = query(
        database,
        "SELECT COUNT(DISTINCT config_key) FROM ocr_documents WHERE uri = 's3://documents/listed.png' "
        "AND dag_id IN ('manifest_to_database', 'figures_described')",
    )
    assert keys == [(2,)]


def test_event_driven_dag_reads_documents_as_they_arrive(
    s3: S3Server, client: Any, tmp_path: Path
) -> None:
    # Alone: the scheduled DAG would poll the same bucket at the full hour.
    (tmp_path / "dags").mkdir()
    shutil.copy(DAGS / "s3_events_to_database.py", tmp_path / "dags")
    database = tmp_path / "results.db"
    settings = {
        "DEEPSEEK_OCR_BUCKET": "arriving",
        "DEEPSEEK_OCR_POLL_SECONDS": "2",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
    }
    client.create_bucket(Bucket="arriving")

    def stored() -> list[str]:
        return [uri for (uri,) in query(database, "SELECT uri FROM ocr_documents ORDER BY uri")]

    with airflow(connections(s3, database), settings) as own, standalone(own) as process:
        client.upload_file(str(DOCUMENTS / "table.png"), "arriving", "first.png")
        wait_until(lambda: len(stored()) == 1, EVENT_TIMEOUT_S, "the first document", process)
        client.upload_file(str(DOCUMENTS / "invoice.pdf"), "arriving", "second.pdf")
        wait_until(lambda: len(stored()) == 2, EVENT_TIMEOUT_S, "the second document", process)

    assert stored() == ["s3://arriving/first.png", "s3://arriving/second.pdf"]
    claims = query(database, "SELECT claims, dag_id, run_id FROM ocr_documents")
    assert all(row[:2] == (1, "s3_events_to_database") for row in claims)
    assert all(re.match("asset_triggered", run) for *_, run in claims)


@pytest.mark.parametrize("prefix", ["", pytest.param("scans_", marks=pytest.mark.slow)])
def test_the_alert_names_each_failure_once(
    prefix: str, s3: S3Server, instance: Airflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "results.db"
    connection = json.dumps(connections(s3, database)["deepseek_ocr_db"])
    monkeypatch.setitem(instance.env, "AIRFLOW_CONN_DEEPSEEK_OCR_DB", connection)
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
