"""Read documents as they arrive: a trigger polls the bucket, and new documents start a run.

No worker slot waits. Set the environment variable ``DEEPSEEK_OCR_BUCKET`` of all Airflow processes to the
bucket, and ``DEEPSEEK_OCR_POLL_SECONDS`` to the time between two polls (60). Connections as in
``s3_to_database``.
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

# [START howto_s3_events_to_database]
new_documents = Asset(
    "new_documents",
    watchers=[
        AssetWatcher(
            name="bucket",
            trigger=S3NewDocumentEventTrigger(
                bucket=BUCKET,
                deepseek_ocr_conn_id="deepseek_ocr_default",
                poke_interval=POLL_SECONDS,
            ),
        )
    ],
)

with DAG(
    "s3_events_to_database",
    description=__doc__.splitlines()[0],
    doc_md=__doc__,
    schedule=[new_documents],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["deepseek-ocr"],
):

    @task
    def batches(triggering_asset_events: Any = None) -> list[Any]:
        """Return the documents of all events that started this run, each version once."""
        from airflow_deepseek_ocr.airflow_support.asset_events import documents_of_events

        return documents_of_events(triggering_asset_events[new_documents])

    DeepSeekOCROperator.partial(
        task_id="read",
        retries=2,
        retry_delay=timedelta(minutes=2),
        max_active_tis_per_dag=1,
    ).expand(documents=batches())
# [END howto_s3_events_to_database]
