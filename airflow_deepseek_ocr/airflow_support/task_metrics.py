"""Metrics of tasks, in the names and through the client that Airflow's own metrics use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_deepseek_ocr.pipeline.summary import Summary
    from airflow_deepseek_ocr.store.row_values import TaskInfo

log = logging.getLogger(__name__)

#: Begins each name. Airflow puts the option ``statsd_prefix`` (``airflow``) before it.
PREFIX = "deepseek_ocr"


def send_batch(summary: Summary, seconds: float, task: TaskInfo) -> None:
    """Send the metrics of a batch; an error is logged, and does not fail the task.

    :param summary: counts of the batch, also of one that ended early.
    :param seconds: seconds since the task's start.
    :param task: the task instance, for the tags.
    """
    counters = {
        **{f"documents.{status}": count for status, count in summary.documents.items()},
        **{f"pages.{status}": count for status, count in summary.statuses.items()},
        **{f"failures.{code}": count for code, count in summary.failed_codes.items()},
        "pages_resumed": summary.pages_resumed,
        "pages_uncertain": summary.uncertain_pages,
        "retried_attempts": summary.retried_attempts,
        "tokens.text": summary.text_tokens,
        "tokens.vision": summary.vision_tokens,
        "exports.files": summary.exports["files"],
        "exports.bytes": summary.exports["bytes"],
        "exports.failed_documents": len(summary.failed_exports),
    }
    timers = {"batch_duration": seconds, "wait_for_others_duration": summary.waited_seconds}
    if summary.pages:
        timers["model_duration"] = summary.model_seconds
        timers["page_duration"] = seconds / summary.pages
    _send(counters, timers, task.dag_id, task.task_id)


def send_found(documents: int, batches: int, dag_id: str | None, task_id: str | None) -> None:
    """Send how many new documents a sensor found; an error is logged, and does not fail the task.

    :param documents: new document versions.
    :param batches: batches of them.
    :param dag_id: the sensor's DAG, for the tags.
    :param task_id: the sensor's task.
    """
    _send({"found.documents": documents, "found.batches": batches}, {}, dag_id, task_id)


def _send(
    counters: Mapping[str, int],
    timers: Mapping[str, float],
    dag_id: str | None,
    task_id: str | None,
) -> None:
    """Send counters that are not 0, and timers, which Airflow takes in milliseconds."""
    tags = {
        name: value
        for name, value in (("dag_id", dag_id), ("task_id", task_id))
        if value is not None
    }
    try:
        # Imported here: a task without metrics does not need the client.
        from airflow.providers.common.compat.sdk import Stats

        for name, count in counters.items():
            if count:
                Stats.incr(f"{PREFIX}.{name}", count, tags=tags)
        for name, seconds in timers.items():
            Stats.timing(f"{PREFIX}.{name}", seconds * 1000, tags=tags)
    except Exception as error:
        # The rows are stored: a client or a server of metrics that fails is no failure of the task.
        log.warning("The metrics of this task were not sent: %s", error)
