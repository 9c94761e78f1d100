"""Metrics of tasks, through Airflow's own client, as packets on a UDP socket."""

from __future__ import annotations

import logging
import re
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from airflow.providers.common.compat.sdk import Stats
from airflow.sdk._shared.observability.metrics import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

from airflow_deepseek_ocr.airflow_support.task_metrics import send_batch, send_found
from airflow_deepseek_ocr.ocr.results import Attempt, PageResult, PageStatus
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.store.row_values import TaskInfo
from tests.conftest import ROOT

TASK = TaskInfo(dag_id="archive", task_id="read")
#: Seconds after which a packet that was sent to the same host is lost.
PATIENCE_S = 5


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A StatsD server's socket; Airflow's client sends to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(PATIENCE_S)
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(listening.getsockname()[1]))
        monkeypatch.setattr(stats, "_factory", get_stats_factory())
        monkeypatch.setattr(stats, "_backend", None)
        yield listening


def packets(server: socket.socket) -> dict[str, str]:
    """Return what has been sent, by name; a last packet of the test ends it."""
    stats.incr("end")
    received: dict[str, str] = {}
    while "airflow.end" not in received:
        name, _, value = server.recv(2000).decode().partition(":")
        assert name not in received
        received[name] = value
    del received["airflow.end"]
    return received


def batch() -> Summary:
    first = Attempt(how="base", resolution="base", score=0.2, vision_tokens=256, text_tokens=90)
    second = Attempt(
        how="gundam", resolution="gundam", score=0.9, vision_tokens=500, text_tokens=70
    )
    summary = Summary(documents=Counter(done=1, failed=2), waited_seconds=1.5)
    for status, attempts in (
        (PageStatus.RECOVERED, (first, second)),
        (PageStatus.FAILED, (first,)),
    ):
        page = PageResult(
            number=1, status=status, resolution="base", seconds=0.5, attempts=attempts
        )
        summary.record_page(page)
    summary.failed_exports["s3://bucket/a.pdf"] = "storage_unavailable: try again later"
    return summary


def test_a_batch_is_one_packet_for_each_counter_and_timer(server: socket.socket) -> None:
    send_batch(batch(), 10.0, TASK)
    assert packets(server) == {
        "airflow.deepseek_ocr.documents.done": "1|c",
        "airflow.deepseek_ocr.documents.failed": "2|c",
        "airflow.deepseek_ocr.pages.recovered": "1|c",
        "airflow.deepseek_ocr.pages.failed": "1|c",
        "airflow.deepseek_ocr.retried_attempts": "1|c",
        "airflow.deepseek_ocr.tokens.text": "250|c",
        "airflow.deepseek_ocr.tokens.vision": "1012|c",
        "airflow.deepseek_ocr.exports.failed_documents": "1|c",
        "airflow.deepseek_ocr.batch_duration": "10000.000000|ms",
        "airflow.deepseek_ocr.wait_for_others_duration": "1500.000000|ms",
        "airflow.deepseek_ocr.model_duration": "1000.000000|ms",
        "airflow.deepseek_ocr.page_duration": "5000.000000|ms",
    }


def test_a_batch_without_pages_has_no_time_of_pages(server: socket.socket) -> None:
    send_batch(Summary(documents=Counter(skipped=3)), 0.25, TaskInfo())
    assert packets(server) == {
        "airflow.deepseek_ocr.documents.skipped": "3|c",
        "airflow.deepseek_ocr.batch_duration": "250.000000|ms",
        "airflow.deepseek_ocr.wait_for_others_duration": "0.000000|ms",
    }


def test_found_documents_are_counted(server: socket.socket) -> None:
    send_found(70, 2, "archive", "find")
    assert packets(server) == {
        "airflow.deepseek_ocr.found.documents": "70|c",
        "airflow.deepseek_ocr.found.batches": "2|c",
    }


def test_tags_name_dag_and_task_where_the_server_takes_tags(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
    send_found(1, 0, "archive", "find")
    assert packets(server) == {
        "airflow.deepseek_ocr.found.documents,dag_id=archive,task_id=find": "1|c"
    }


def test_an_error_of_the_client_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(Stats, "incr", refused)
    with caplog.at_level(logging.WARNING):
        send_batch(batch(), 1.0, TASK)
    assert "metrics of this task were not sent: Network is unreachable" in caplog.text


def test_the_page_lists_every_metric(server: socket.socket) -> None:
    """With all statuses that a document and a page may have."""
    summary = batch()
    statuses = ("done", "partial", "failed", "skipped", "leased_by_others", "forgotten")
    summary.documents.update(statuses)
    summary.statuses.update(status.value for status in PageStatus)
    summary.exports.update(files=1, bytes=1)
    summary.pages_resumed = summary.uncertain_pages = 1
    send_batch(summary, 1.0, TASK)
    send_found(1, 1, "archive", "find")
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(deepseek_ocr\.[\w.]+)` \| (\w+) \|", page, re.MULTILINE)
    kinds = {"c": "counter", "ms": "timer"}
    assert dict(rows) == {
        name.removeprefix("airflow."): kinds[value.partition("|")[2]]
        for name, value in packets(server).items()
    }
