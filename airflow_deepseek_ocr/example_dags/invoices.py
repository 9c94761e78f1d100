"""Every hour, read the new documents of the bucket ``invoices`` into a database.

The shortest useful DAG: it waits 50 minutes of each hour in the triggerer, or searches once if it is
triggered by hand. Set the bucket in this file; ``s3_to_database`` has parameters. Create the connections
``aws_default`` (S3), ``deepseek_ocr_default`` (the model) and ``deepseek_ocr_db`` (postgres, mysql or
sqlite).
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor

# [START howto_invoices]
with DAG(
    "invoices",
    doc_md=__doc__,
    tags=["deepseek-ocr"],
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
):
    find = S3NewDocumentSensor(
        task_id="find",
        bucket="invoices",
        deepseek_ocr_conn_id="deepseek_ocr_default",  # as the operator's: see "Two DAGs on one bucket"
        deferrable=True,
        timeout=3000,
        manual_timeout=0,
        soft_fail=True,
    )
    DeepSeekOCROperator.partial(task_id="read", retries=2).expand(documents=find.output)
# [END howto_invoices]
