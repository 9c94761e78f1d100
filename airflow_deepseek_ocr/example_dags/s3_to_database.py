"""Every hour, read the new documents of a bucket into a database.

Create the connections ``aws_default`` (S3), ``deepseek_ocr_default`` (the model) and ``deepseek_ocr_db``
(postgres, mysql or sqlite), or set the parameters that name others. Set the parameters ``bucket`` and
``prefix``: those of the form hold for one run, those of scheduled runs are in this file.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator
from airflow_deepseek_ocr.sensors.s3 import S3NewDocumentSensor

with DAG(
    "s3_to_database",
    description=__doc__.splitlines()[0],
    doc_md=__doc__,
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # Two runs at once would find the same new documents, and the second would wait for the first. A run that
    # is triggered while another one waits is queued until then; the waiting one takes the documents.
    max_active_runs=1,
    params={
        "bucket": Param("documents", type="string", description="bucket of the documents"),
        "prefix": Param(None, type=["null", "string"], description="prefix of the keys"),
        "max_failed_pages": Param(
            0.004,
            type=["null", "number"],
            description="pages of a document that may fail: a share, a number, or any (null)",
        ),
        "aws_conn_id": Param("aws_default", type="string", description="connection to S3"),
        "deepseek_ocr_conn_id": Param(
            "deepseek_ocr_default", type="string", description="connection of the model"
        ),
        "db_conn_id": Param(
            "deepseek_ocr_db", type="string", description="connection to the results database"
        ),
    },
    tags=["deepseek-ocr"],
):
    # [START howto_s3_to_database]
    # Both tasks have the same connections: a document is new if it has no row of this model.
    connections: dict[str, Any] = {
        name: f"{{{{ params.{name} }}}}"
        for name in ("aws_conn_id", "deepseek_ocr_conn_id", "db_conn_id")
    }
    find = S3NewDocumentSensor(
        task_id="find",
        bucket="{{ params.bucket }}",
        prefix="{{ params.prefix or '' }}",
        deferrable=True,  # waits in the triggerer, not in a worker slot
        poke_interval=60,
        timeout=timedelta(minutes=50).total_seconds(),
        manual_timeout=0,  # a run that is triggered by hand searches once
        soft_fail=True,  # an hour without new documents is skipped, not failed
        **connections,
    )
    DeepSeekOCROperator.partial(
        task_id="read",
        max_failed_pages="{{ params.max_failed_pages }}",
        retries=2,
        retry_delay=timedelta(minutes=2),
        # One task keeps a GPU busy. With device "all" in the connection: as many tasks as GPUs.
        max_active_tis_per_dag=1,
        **connections,
    ).expand(documents=find.output)
    # [END howto_s3_to_database]
