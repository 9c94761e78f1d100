"""Every hour, read small print in a mode with many tokens, and letters in a fast one, by their prefixes.

Set the parameters ``bucket``, ``fine`` and ``fast``, and add further prefixes and modes to the loop. The
column ``resolution`` of ``ocr_documents`` has the mode. Connections as in ``s3_to_database``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor

with DAG(
    "two_qualities",
    description=__doc__.splitlines()[0],
    doc_md=__doc__,
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "bucket": Param("documents", type="string", description="bucket of the documents"),
        "fine": Param(
            "drawings/", type="string", description="prefix of documents with small print"
        ),
        "fast": Param(
            "letters/", type="string", description="prefix of documents with large print"
        ),
    },
    tags=["deepseek-ocr"],
):
    # [START howto_two_qualities]
    for quality, resolution in {"fine": "gundam", "fast": "small"}.items():
        # The sensor has the operator's options: a document is new if it has no row in this mode.
        options: dict[str, Any] = {
            "deepseek_ocr_conn_id": "deepseek_ocr_default",
            "resolution": resolution,
        }
        find = S3NewDocumentSensor(
            task_id=f"find_{quality}",
            bucket="{{ params.bucket }}",
            prefix=f"{{{{ params.{quality} }}}}",
            deferrable=True,
            timeout=timedelta(minutes=50).total_seconds(),
            manual_timeout=0,
            soft_fail=True,
            **options,
        )
        DeepSeekOCROperator.partial(
            task_id=f"read_{quality}", retries=2, max_active_tis_per_dag=1, **options
        ).expand(documents=find.output)
    # [END howto_two_qualities]
