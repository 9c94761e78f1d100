"""Read documents as S3 reports them: a trigger reads the events of the bucket from an SQS queue.

A run reads just the objects in the events that started it. A second DAG compares bucket and database every
hour, and reads what no event has named. Set the environment variables ``DEEPSEEK_OCR_QUEUE_URL``,
``DEEPSEEK_OCR_BUCKET`` and ``DEEPSEEK_OCR_PREFIX`` of all Airflow processes to the queue, the bucket, and
the prefix of the keys (none: the whole bucket). Without a queue there is no trigger. Connections as in
``s3_to_database``. The guide "Events" sets up the queue.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor
from airflow_deepseek_ocr.triggers.sqs import SqsNewDocumentEventTrigger

BUCKET = os.environ.get("DEEPSEEK_OCR_BUCKET", "documents")
PREFIX = os.environ.get("DEEPSEEK_OCR_PREFIX", "")
QUEUE_URL = os.environ.get("DEEPSEEK_OCR_QUEUE_URL")

# [START howto_s3_queue_to_database]
watchers = []
if QUEUE_URL:
    trigger = SqsNewDocumentEventTrigger(queue_url=QUEUE_URL, bucket=BUCKET, prefix=PREFIX)
    watchers = [AssetWatcher(name="queue", trigger=trigger)]
uploaded_documents = Asset("uploaded_documents", watchers=watchers)

with DAG(
    "s3_queue_to_database",
    description=__doc__.splitlines()[0],
    doc_md=__doc__,
    schedule=[uploaded_documents],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["deepseek-ocr"],
):

    @task
    def batches(triggering_asset_events: Any = None) -> list[Any]:
        """Return the documents of all events that started this run, each version once."""
        from airflow_deepseek_ocr.airflow_support.asset_events import documents_of_events

        return documents_of_events(triggering_asset_events[uploaded_documents])

    DeepSeekOCROperator.partial(
        task_id="read",
        retries=2,
        retry_delay=timedelta(minutes=2),
        max_active_tis_per_dag=1,
    ).expand(documents=batches())
# [END howto_s3_queue_to_database]

# [START howto_s3_queue_sweep]
with DAG(
    "s3_queue_sweep",
    description="Every hour, read the documents that no event has named.",
    doc_md=__doc__,
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["deepseek-ocr"],
):
    find = S3NewDocumentSensor(
        task_id="find",
        bucket=BUCKET,
        prefix=PREFIX,
        deepseek_ocr_conn_id="deepseek_ocr_default",
        # Younger documents are those that the events name now.
        minimum_age=timedelta(minutes=15),
        timeout=0,  # one search an hour
        soft_fail=True,
    )
    DeepSeekOCROperator.partial(
        task_id="read",
        retries=2,
        retry_delay=timedelta(minutes=2),
        max_active_tis_per_dag=1,
    ).expand(documents=find.output)
# [END howto_s3_queue_sweep]
