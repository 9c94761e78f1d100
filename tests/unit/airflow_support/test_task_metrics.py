"""Metrics of tasks, through Airflow's own client, as packets on a UDP socket."""

from __future__ import annotations

import logging
import re
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from airflow.providers.common.compat.sdk import Stats

from airflow_deepseek_ocr.airflow_support.task_metrics import send_batch, send_found
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.store.row_values import TaskInfo
from tests.conftest import ROOT
from tests.support.airflow_metrics import packets, statsd_server
from tests.support.fixtures.full_summary import full_summary, small_summary

TASK = TaskInfo(dag_id="archive", task_id="read")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with statsd_server(monkeypatch) as listening:
        yield listening


def test_a_batch_is_one_packet_for_each_counter_and_timer(server: socket.socket) -> None:
    send_batch(small_summary(), 10.0, TASK)
    assert packets(server) == {
        "airflow.deepseek_ocr.documents.done": "1|c",
        "airflow.deepseek_ocr.documents.failed": "2|c",
        "airflow.deepseek_ocr.failures.damaged": "2|c",
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
        send_batch(small_summary(), 1.0, TASK)
    assert "metrics of this task were not sent: Network is unreachable" in caplog.text


def test_the_page_lists_every_metric(server: socket.socket) -> None:
    send_batch(full_summary(), 1.0, TASK)
    send_found(1, 1, "archive", "find")
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(deepseek_ocr\.[\w.<>]+)` \| (\w+) \|", page, re.MULTILINE)
    kinds = {"c": "counter", "ms": "timer"}
    assert dict(rows) == {
        name.removeprefix("airflow.").replace(".damaged", ".<code>"): kinds[value.partition("|")[2]]
        for name, value in packets(server).items()
    }
