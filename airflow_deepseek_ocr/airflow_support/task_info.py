"""The task instance of a context, as the rows name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_deepseek_ocr.store.row_values import TaskInfo


def task_info(context: Context) -> TaskInfo:
    """Return what identifies the task instance; None for each part that the context does not have.

    :param context: the context of a task.
    """
    # Imported here: the database's package is not needed where DAGs are parsed.
    from airflow_deepseek_ocr.store.row_values import TaskInfo

    instance: Any = context.get("ti")
    return TaskInfo(
        dag_id=getattr(instance, "dag_id", None),
        run_id=getattr(instance, "run_id", None),
        task_id=getattr(instance, "task_id", None),
        map_index=getattr(instance, "map_index", None),
        try_number=getattr(instance, "try_number", None),
    )
