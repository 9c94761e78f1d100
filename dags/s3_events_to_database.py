"""Read documents as they arrive: a trigger watches the bucket, and each arrival starts a run.

Nothing waits in a worker slot. Connections as in ``s3_to_database``; set the bucket here.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.triggers.s3 import S3NewDocumentEventTrigger

BUCKET = os.environ.get("DEEPSEEK_OCR_BUCKET", "documents")
POLL_SECONDS = float(os.environ.get("DEEPSEEK_OCR_POLL_SECONDS", "60"))

arrivals = Asset(
    "new_documents",
    watchers=[
        AssetWatcher(
            name="bucket",
            trigger=S3NewDocumentEventTrigger(bucket=BUCKET, poke_interval=POLL_SECONDS),
        )
    ],
)

with DAG(
    "s3_events_to_database",
    description=__doc__.splitlines()[0],
    schedule=[arrivals],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["deepseek-ocr"],
):

    @task
    def batches(triggering_asset_events: Any = None) -> list[list[dict[str, Any]]]:
        """The batches of all events that started this run."""
        return [
            batch
            for event in triggering_asset_events[arrivals]
            for batch in event.extra["payload"]["documents"]
        ]

    DeepSeekOCROperator.partial(
        task_id="read",
        retries=2,
        retry_delay=timedelta(minutes=2),
        max_active_tis_per_dag=1,
    ).expand(documents=batches())
