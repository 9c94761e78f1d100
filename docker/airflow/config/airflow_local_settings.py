"""Airflow's policies of this deployment: documents are read in the pool ``deepseek_ocr``.

The pool's slots limit the tasks that read at the same time, over all DAGs, so that they do not compete for
memory of the GPU. A task that names a pool itself keeps it.
"""

from __future__ import annotations

from typing import Any


def task_policy(task: Any) -> None:
    """Move tasks of DeepSeek-OCR's operators from the default pool to their own.

    :param task: operator, mapped or not, of a DAG that has just been parsed.
    """
    if task.task_type in ("DeepSeekOCROperator", "_DeepSeekOCRDecoratedOperator") and (
        task.pool == "default_pool"
    ):
        task.pool = "deepseek_ocr"
