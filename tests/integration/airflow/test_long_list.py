"""A list of documents that is too long for an XCom, in a real Airflow; and what its tasks' log says."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY_MODEL
from tests.support.servers.airflow import Airflow, airflow, aws_connection
from tests.support.servers.moto_s3 import ACCESS_KEY, REGION, SECRET_KEY, start_moto
from tests.support.servers.process import LOOPBACK, Process, data_directory, free_port
from tests.support.servers.s3 import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NUMBER, PARTS = 6_000, 4
SECRET = "key-that-no-log-has"
ADDRESS = "https://airflow.example.com"


@pytest.fixture
def many_documents() -> Iterator[S3Server]:
    """An S3 server with a bucket of 6,000 objects, none of which is a document."""
    with data_directory() as directory:
        port = free_port()
        module = "tests.support.servers.moto_with_keys"
        argv = [sys.executable, "-m", module, str(port), "many", str(NUMBER)]
        process = Process(argv, directory, directory / "server.log")
        process.cwd = "."  # type: ignore[assignment]
        try:
            start_moto(process, port)
            yield S3Server(f"http://{LOOPBACK}:{port}", ACCESS_KEY, SECRET_KEY, REGION)
        finally:
            process.stop()


@pytest.fixture
def instance(many_documents: S3Server, tmp_path: Path) -> Iterator[Airflow]:
    connections = {
        "aws_default": aws_connection(many_documents),
        "deepseek_ocr_db": {"conn_type": "sqlite", "host": str(tmp_path / "results.db")},
        "deepseek_ocr_default": {
            "conn_type": "deepseek_ocr",
            "password": SECRET,
            "extra": {"engine": "in_process", "model": str(TINY_MODEL), "resolution": "small"},
        },
    }
    settings = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
        "AIRFLOW__API__BASE_URL": ADDRESS,
        # As docs/reference/operators.md says.
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow.providers.amazon=WARNING",
    }
    with airflow(connections, settings) as running:
        yield running


def rows(database: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def test_mapped_tasks_read_the_parts_of_a_stored_list(instance: Airflow, tmp_path: Path) -> None:
    log = instance.command("dags", "test", "long_list", timeout_s=1500)
    results = tmp_path / "results.db"
    ((key, stored),) = rows(results, "SELECT list_key, document_count FROM ocr_document_lists")
    assert stored == NUMBER
    found = rows(results, "SELECT map_index, COUNT(*) FROM ocr_documents GROUP BY 1 ORDER BY 1")
    assert found == [(index, NUMBER // PARTS) for index in range(PARTS)]
    metadata = instance.home / "airflow.db"
    ((given,),) = rows(
        metadata, "SELECT value FROM xcom WHERE task_id = 'find' AND key = 'return_value'"
    )
    given = json.loads(given) if isinstance(given, str) else given
    given = json.loads(given) if isinstance(given, str) else given
    assert given == [
        {"document_list": key, "first": first, "count": 1_500} for first in range(0, NUMBER, 1_500)
    ]
    _check_log(log)


def _check_log(log: str) -> None:
    """Check that it names what was found and what became of it, in few lines, without secrets."""
    assert SECRET not in log
    assert SECRET_KEY not in log
    assert "6,000 new documents in 4 batches." in log
    assert log.count("1,500 documents of 1 stored list: ") == PARTS
    lines = [line for line in log.splitlines() if " of 1,500: s3://many/" in line]
    assert len(lines) == 20 * PARTS
    assert re.search(
        r"1 of 1,500: s3://many/\d+/document \d+\.pdf: failed \(\w+\)\. .+ Row \d+\.", log
    )
    assert log.count("Further lines about failed documents") == PARTS
    summaries = re.findall(
        r"Summary: 1,500 documents, 0 pages in .+\n  documents +1,500 failed\n", log
    )
    assert len(summaries) == PARTS
    assert len(re.findall(r"  1,500 \w+, such as s3://many/", log)) == PARTS
    assert log.count(f"{ADDRESS}/deepseek-ocr/?dag_id=long_list&run_id=") == PARTS
    assert "Running upgrade" not in log
    assert "credentials retrieved" not in log
