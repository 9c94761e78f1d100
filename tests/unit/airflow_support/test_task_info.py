"""The task instance of a context."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from airflow_deepseek_ocr.airflow_support.task_info import task_info
from airflow_deepseek_ocr.store.row_values import TaskInfo


def test_a_context_without_a_task_instance_has_no_names() -> None:
    context: Any = {}
    assert task_info(context) == TaskInfo()


def test_a_mapped_task_instance_has_all_names() -> None:
    names: dict[str, Any] = {
        "dag_id": "d",
        "run_id": "r",
        "task_id": "t",
        "map_index": 3,
        "try_number": 2,
    }
    context: Any = {"ti": SimpleNamespace(**names)}
    assert task_info(context) == TaskInfo(**names)
