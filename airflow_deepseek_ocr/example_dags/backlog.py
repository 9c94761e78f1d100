"""Read all documents of a large bucket, a batch for each task, until none is left.

Set the parameters ``bucket`` and ``prefix``, and ``max_active_tis_per_dag`` to the number of GPUs. Unpause
the DAG: as soon as a run has ended, the next one takes the following documents. A run that fails loses
nothing. When all documents are read, runs wait for new ones and end as skipped: pause the DAG. Connections
as in ``s3_to_database``; the database should be PostgreSQL or MySQL.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor

with DAG(
    "backlog",
    description=__doc__.splitlines()[0],
    doc_md=__doc__,
    schedule="@continuous",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "bucket": Param("documents", type="string", description="bucket of the documents"),
        "prefix": Param(None, type=["null", "string"], description="prefix of the keys"),
    },
    tags=["deepseek-ocr"],
):
    # [START howto_backlog]
    find = S3NewDocumentSensor(
        task_id="find",
        bucket="{{ params.bucket }}",
        prefix="{{ params.prefix or '' }}",
        deepseek_ocr_conn_id="deepseek_ocr_default",
        batch_size=200,  # minutes of work for a task: the seconds of its start do not count
        max_documents=200_000,
        deferrable=True,
        timeout=timedelta(hours=1).total_seconds(),
        manual_timeout=0,
        soft_fail=True,
    )
    DeepSeekOCROperator.partial(
        task_id="read",
        max_failed_pages=None,  # a bad document is in the tables; it does not fail its batch
        retries=3,
        retry_delay=timedelta(minutes=2),
        max_active_tis_per_dag=1,  # the number of GPUs
    ).expand(documents=find.output)
    # [END howto_backlog]
