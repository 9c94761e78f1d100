"""Lines about a batch as a whole, and the address of its page."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_deepseek_ocr.airflow_support.task import task_log
from airflow_deepseek_ocr.airflow_support.task.task_log import (
    TaskLog,
    first_and_last,
    less_noise,
    results_url,
)
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.engine_protocol import Progress
from airflow_deepseek_ocr.store.row_values import TaskInfo

TASK = TaskInfo("dag", "manual__2026-01-01T00:00:00+00:00", "read", 3, 1)
OPERATOR = SimpleNamespace(db_conn_id="deepseek_ocr_db", db_schema=None, db_table_prefix=None)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> TaskLog:
    caplog.set_level(logging.INFO)
    return TaskLog(logging.getLogger(__name__), OPERATOR)


def test_what_was_found(log: TaskLog, caplog: pytest.LogCaptureFixture) -> None:
    refs = [DocumentRef(f"s3://b/{name}.pdf", size=1_500_000) for name in ("a", "b", "c\n")]
    log.found(refs)
    log.found([DocumentRef("file:///a.pdf")])
    log.found([])
    assert caplog.messages == [
        r"3 documents of 4.5 MB: s3://b/a.pdf to s3://b/c\n.pdf.",
        "1 document: file:///a.pdf.",
    ]


def test_parts_of_a_stored_list_have_no_names() -> None:
    part = {"document_list": "0" * 32, "first": 0, "count": 2}
    assert first_and_last([part, part]) == ""
    assert first_and_last([]) == ""
    assert first_and_last([[{"uri": "s3://b/1"}, {"uri": "s3://b/2"}]]) == ": s3://b/1 to s3://b/2"


def test_progress_comes_now_and_then(
    log: TaskLog, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(task_log.time, "monotonic", lambda: now[0])
    log = TaskLog(logging.getLogger(__name__), OPERATOR)
    pipeline: Any = SimpleNamespace(progress_line=lambda progress: f"{progress.tokens} tokens")
    write = log.progress(pipeline)
    for second in range(0, 95, 5):
        now[0] = 1000.0 + second
        write(Progress(0, 0, second))
    assert caplog.messages == ["30 tokens", "60 tokens", "90 tokens"]


def test_a_group_is_closed(log: TaskLog, caplog: pytest.LogCaptureFixture) -> None:
    log.group("Title", "a\nb")
    assert caplog.messages == ["::group::Title", "a\nb", "::endgroup::"]


@pytest.mark.parametrize(
    ("base", "start"),
    [
        ("https://airflow.example.com", "https://airflow.example.com/deepseek-ocr/?"),
        ("https://example.com/airflow/", "https://example.com/airflow/deepseek-ocr/?"),
        ("http://localhost:8080", "http://localhost:8080/deepseek-ocr/?"),
    ],
)
def test_the_address_of_the_page(base: str, start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    url = results_url(OPERATOR, TASK)
    assert url == (
        f"{start}dag_id=dag&run_id=manual__2026-01-01T00%3A00%3A00%2B00%3A00&task_id=read&map_index=3"
    )


@pytest.mark.parametrize("base", ["", "/airflow"])
def test_without_airflows_own_address_there_is_none(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    assert results_url(OPERATOR, TASK) == ""


@pytest.mark.parametrize(
    ("option", "value"),
    [("AIRFLOW__API__BASE_URL", "http://[::1"), ("AIRFLOW__DEEPSEEK_OCR__RESULTS_PAGE", "perhaps")],
)
def test_a_wrong_option_of_the_api_server_fails_no_task(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com")
    assert results_url(OPERATOR, TASK)
    monkeypatch.setenv(option, value)
    assert results_url(OPERATOR, TASK) == ""


def test_no_link_to_a_page_of_other_tables_or_without_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com")
    assert results_url(SimpleNamespace(db_conn_id="another"), TASK) == ""
    assert results_url(OPERATOR, TaskInfo()) == ""


def test_other_programs_are_quiet_for_the_time_of_the_task() -> None:
    chatty = logging.getLogger("botocore.credentials")
    before = chatty.level
    with less_noise():
        assert not chatty.isEnabledFor(logging.INFO)
        assert chatty.isEnabledFor(logging.WARNING)
    assert chatty.level == before
