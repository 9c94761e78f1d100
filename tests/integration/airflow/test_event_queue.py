"""Documents that S3 reports to a queue, read by the example DAG while Airflow's triggerer is killed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from tests.conftest import ROOT, TINY_MODEL
from tests.support.servers.airflow import (
    DAGS,
    Airflow,
    airflow,
    aws_connection,
    triggerer,
    without_workers,
)
from tests.support.servers.event_queue import EventQueue, event_queue, notification
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.postgres import postgres
from tests.support.servers.process import Process
from tests.support.servers.s3 import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

PAGE = (ROOT / "demo" / "documents" / "table.png").read_bytes()
#: Seconds that one step may take: a busy host starts Airflow's components and loads the model.
STEP_S = 240
#: The shortest visibility time-out: what a killed triggerer held comes again after it.
VISIBILITY_S = 30
BUCKET = "documents"
STORED = "SELECT COUNT(*) FROM asset_event"
REFUSE = "ALTER TABLE asset_event ADD CONSTRAINT refused CHECK (id < 0) NOT VALID"
ACCEPT = "ALTER TABLE asset_event DROP CONSTRAINT refused"


@dataclass(frozen=True)
class Arrivals:
    """A running Airflow with the example DAG, and the queue that it reads."""

    instance: Airflow
    queue: EventQueue
    database: Path
    triggerer: Process

    def metadata(self, statement: str) -> list[Any]:
        engine = sqlalchemy.create_engine(self.instance.metadata_url, poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            result = connection.execute(sqlalchemy.text(statement))
            return list(result.scalars()) if result.returns_rows else []

    def stored_events(self) -> int:
        return int(self.metadata(STORED)[0])

    def rows(self) -> dict[tuple[str, str], int]:
        """Return the claims of the documents, by key and status."""
        if not self.database.exists():
            return {}
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            try:
                found = connection.execute("SELECT uri, status, claims FROM ocr_documents")
            except sqlite3.OperationalError as error:
                assert "no such table" in str(error)
                return {}
            return {(uri.rpartition("/")[2], status): claims for uri, status, claims in found}

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + STEP_S
        while not holds():
            if time.monotonic() > deadline:
                logs = "\n".join(
                    f"{log}\n{log.read_text(errors='replace')[-6000:]}"
                    for log in sorted(self.instance.home.glob("*.log"))
                )
                raise TimeoutError(f"{what}: not in {STEP_S} s; {self.rows()}\n{logs}")
            time.sleep(0.02)

    def upload(self, key: str, times: int = 1) -> None:
        """Store an object, and report it further times."""
        etag = self.queue.upload(key, PAGE)
        for _ in range(times - 1):
            self.queue.send(notification(BUCKET, key, eTag=etag, size=len(PAGE)))

    def wait_for(self, *keys: str) -> None:
        self.wait(lambda: {(key, "done") for key in keys} <= set(self.rows()), f"{keys} are read")

    def wait_for_runs(self) -> None:
        states = "SELECT COUNT(*) FROM dag_run WHERE state IN ('queued', 'running')"
        self.wait(lambda: self.metadata(states) == [0], "the runs end")

    def messages(self) -> int:
        return sum(self.queue.counts())


def connections(s3: S3Server, database: Path) -> dict[str, dict[str, Any]]:
    extra = {
        "engine": "in_process",
        "model": str(TINY_MODEL),
        "resolution": "small",
        "max_output_length": 512,
    }
    return {
        "aws_default": aws_connection(s3),
        "deepseek_ocr_db": {"conn_type": "sqlite", "host": str(database)},
        "deepseek_ocr_default": {"conn_type": "deepseek_ocr", "extra": extra},
    }


def changed_example(directory: Path, part: str, change: str) -> Path:
    """Write the example DAGs with a part replaced, and return their directory."""
    example = (DAGS / "s3_queue_to_database.py").read_text()
    assert example.count(part) == 1
    dags = directory / "dags"
    dags.mkdir()
    (dags / "example.py").write_text(example.replace(part, change))
    return dags


@contextmanager
def arrivals(directory: Path) -> Iterator[Arrivals]:
    database = directory / "results.db"
    trigger = "SqsNewDocumentEventTrigger(queue_url=QUEUE_URL, bucket=BUCKET"
    changed = f"{trigger}, visibility_timeout={VISIBILITY_S}"
    dags = changed_example(directory, trigger, changed)
    with moto_s3() as s3, postgres() as metadata:
        queue = event_queue(s3, bucket=BUCKET)
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "DEEPSEEK_OCR_BUCKET": BUCKET,
            "DEEPSEEK_OCR_QUEUE_URL": queue.url,
            "OMP_NUM_THREADS": "1",
        }
        with (
            airflow(connections(s3, database), settings, metadata.sqlalchemy_url) as instance,
            without_workers(instance),
            triggerer(instance) as process,
        ):
            yield Arrivals(instance, queue, database, process)


def test_the_hourly_dag_reads_what_no_event_has_named(tmp_path: Path) -> None:
    dags = changed_example(tmp_path, "timedelta(minutes=15)", "timedelta(0)")
    database = tmp_path / "results.db"
    settings = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), "DEEPSEEK_OCR_BUCKET": BUCKET}
    with moto_s3() as s3, airflow(connections(s3, database), settings) as instance:
        event_queue(s3, bucket=BUCKET).upload("1.png", PAGE)
        instance.test_dag("s3_queue_sweep")
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT uri, status, dag_id FROM ocr_documents").fetchall()
    assert rows == [("s3://documents/1.png", "done", "s3_queue_sweep")]


def test_each_object_is_read_once_and_no_message_is_lost(tmp_path: Path) -> None:
    with arrivals(tmp_path) as airflow:
        # Messages come twice, out of order, for another bucket, and from someone else.
        airflow.upload("1.png", times=3)
        airflow.queue.send(notification(BUCKET, "1.png", eTag="0" * 32))
        airflow.queue.send(notification("theirs", "1.png"))
        airflow.queue.send("garbage")
        airflow.wait_for("1.png")
        airflow.wait(lambda: airflow.messages() == 2, "what was stored is deleted")

        airflow.triggerer.kill()
        airflow.upload("2.png", times=2)
        airflow.upload("3.png")
        airflow.triggerer.start()
        airflow.wait_for("2.png", "3.png")
        airflow.wait(lambda: airflow.messages() == 2, "what was stored is deleted")
        airflow.wait_for_runs()

        # It dies after Airflow has stored the event, and before the message is deleted.
        stored = airflow.stored_events()
        airflow.upload("4.png")
        airflow.wait(lambda: airflow.stored_events() > stored, "the event is stored")
        airflow.triggerer.kill()
        assert airflow.messages() == 3
        airflow.triggerer.start()
        airflow.wait(lambda: airflow.stored_events() > stored + 1, "the message comes twice")
        airflow.wait_for("4.png")
        airflow.wait_for_runs()

        # Airflow cannot store the event, and its triggerer ends.
        airflow.metadata(REFUSE)
        airflow.upload("5.png")
        airflow.wait(lambda: airflow.triggerer.exit_status is not None, "the triggerer ends")
        assert airflow.messages() == 3
        airflow.metadata(ACCEPT)
        airflow.triggerer.start()
        airflow.wait_for("5.png")
        airflow.wait(lambda: airflow.messages() == 2, "what was stored is deleted")
        airflow.wait_for_runs()

        read = {(f"{number}.png", "done"): 1 for number in range(1, 6)}
        # The version of the late message does not exist any more.
        assert airflow.rows() == read | {("1.png", "failed"): 1}
        log = airflow.triggerer.log.read_text()
        assert "(bucket 'theirs')" in log
        assert "(it is no JSON)" in log
