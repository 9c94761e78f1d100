"""A sensor that finds more documents than an XCom should hold, and mapped tasks that read them."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor

with DAG("long_list", schedule=None, start_date=datetime(2026, 1, 1)):
    find = S3NewDocumentSensor(
        task_id="find",
        bucket="many",
        deepseek_ocr_conn_id="deepseek_ocr_default",
        max_documents=6_000,
        batch_size=1_500,
    )
    DeepSeekOCROperator.partial(task_id="read", max_failed_pages=None).expand(documents=find.output)
