"""A task that is killed under a real Airflow: its retry continues with the missing pages."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pikepdf
import psutil
import pytest

from tests.conftest import ROOT, TINY_MODEL
from tests.support.servers.airflow import airflow, standalone
from tests.support.servers.process import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGES, KILL_AT, TIMEOUT_S = 30, 5, 240

DAG = """
import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator


class WithPid(DeepSeekOCROperator):
    def execute(self, context):
        name = f"pid {context['ti'].try_number}"
        (Path(os.environ["PID_DIRECTORY"]) / name).write_text(str(os.getpid()))
        return super().execute(context)


with DAG("killed", schedule="@once", start_date=datetime(2026, 1, 1), catchup=False):
    WithPid(
        task_id="read",
        documents=[os.environ["DOCUMENT"]],
        max_failed_pages=None,
        retries=2,
        retry_delay=timedelta(seconds=1),
    )
"""


def rows(database: Path, sql: str) -> list[Any]:
    if not database.exists():
        return []
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            assert "no such table" in str(error)
            return []


def test_the_retry_of_a_killed_task_continues(tmp_path: Path) -> None:
    document, database = tmp_path / "long.pdf", tmp_path / "results.db"
    with pikepdf.open(ROOT / "demo" / "documents" / "invoice.pdf") as one, pikepdf.new() as pdf:
        for _ in range(PAGES):
            pdf.pages.append(one.pages[0])
        pdf.save(document)
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "killed.py").write_text(DAG)
    extra = {"model": str(TINY_MODEL), "resolution": "tiny", "max_output_length": 40}
    connections = {
        "deepseek_ocr_db": {"conn_type": "sqlite", "host": str(database)},
        "deepseek_ocr_default": {
            "conn_type": "deepseek_ocr",
            "extra": extra | {"engine": "in_process", "retry_with": "none", "batch_size": 1},
        },
    }
    settings = {
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "PID_DIRECTORY": str(tmp_path),
        "DOCUMENT": f"file://{document}",
        "OMP_NUM_THREADS": "1",
    }
    number, status = "SELECT COUNT(*) FROM ocr_pages", "SELECT status, claims FROM ocr_documents"
    with airflow(connections, settings) as instance, standalone(instance) as process:

        def stored(most: int) -> bool:
            return any(count >= most for (count,) in rows(database, number))

        wait_until(lambda: stored(KILL_AT), TIMEOUT_S, "the first pages", process)
        killed = int((tmp_path / "pid 1").read_text())
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(killed), TIMEOUT_S, "the task's end", process)
        before = rows(database, "SELECT id, page_number, created_at FROM ocr_pages")
        assert KILL_AT <= len(before) < PAGES
        assert rows(database, status) == [("processing", 1)]
        wait_until(
            lambda: rows(database, status)[0][0] != "processing" or (tmp_path / "pid 2").exists(),
            TIMEOUT_S,
            "the retry",
            process,
        )
        wait_until(
            lambda: rows(database, status)[0][0] != "processing", TIMEOUT_S, "its end", process
        )
    after = rows(database, "SELECT id, page_number, created_at FROM ocr_pages")
    assert set(before) <= set(after)
    assert sorted(page for _, page, _ in after) == list(range(1, PAGES + 1))
    ((_, claims),) = rows(database, status)
    assert claims == 2
    assert rows(database, "SELECT try_number, lease_expires_at FROM ocr_documents") == [(2, None)]
