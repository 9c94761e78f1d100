"""Tasks that use one model: documents read in parallel, and a task that waits to be killed."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

from airflow.sdk import DAG, Param, task

from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook
from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator

with DAG(
    "warm_model",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"documents": Param([], type="array")},
    max_active_runs=1,
):

    @task
    def documents(params: dict[str, list[str]] | None = None) -> list[str]:
        return (params or {})["documents"]

    DeepSeekOCROperator.partial(task_id="read", overwrite=True, max_failed_pages=None).expand(
        documents=documents()
    )

with DAG("killed_task", schedule=None, start_date=datetime(2026, 1, 1)):

    @task
    def wait_to_be_killed() -> None:
        DeepSeekOCRHook().get_conn().modes()
        Path(os.environ["KILLED_TASK_PID"]).write_text(str(os.getpid()))
        time.sleep(600)

    wait_to_be_killed()
