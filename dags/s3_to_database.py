"""Every hour, read the documents that are new in a bucket and write them to a database.

Connections: ``aws_default`` (S3), ``deepseek_ocr_default`` (the model), ``deepseek_ocr_db`` (postgres,
mysql or sqlite). Bucket and prefix are parameters of the DAG.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor

with DAG(
    "s3_to_database",
    description=__doc__.splitlines()[0],
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # Two runs at once would find the same new documents.
    max_active_runs=1,
    params={
        "bucket": Param("documents", type="string", description="where documents arrive"),
        "prefix": Param(None, type=["null", "string"], description="keys start with this"),
        "max_failed_pages": Param(
            0.004,
            type=["null", "number"],
            description="pages of a document that may fail: a share, a number, or any (null)",
        ),
    },
    tags=["deepseek-ocr"],
):
    find = S3NewDocumentSensor(
        task_id="find",
        bucket="{{ params.bucket }}",
        prefix="{{ params.prefix or '' }}",
        poke_interval=60,
        timeout=timedelta(minutes=50).total_seconds(),
        soft_fail=True,  # an hour without new documents is no failure
    )
    DeepSeekOCROperator.partial(
        task_id="read",
        max_failed_pages="{{ params.max_failed_pages }}",
        retries=2,
        retry_delay=timedelta(minutes=2),
        # One task at a time on a GPU; raise it to the number of GPUs.
        max_active_tis_per_dag=1,
    ).expand(documents=find.output)
