"""A mapped task that reads two documents."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.sdk import DAG

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator

DOCUMENTS = Path(os.environ.get("LINEAGE_DOCUMENTS", "/nowhere"))

with DAG("lineage", schedule=None, start_date=datetime(2026, 1, 1)):
    DeepSeekOCROperator.partial(task_id="read", max_failed_pages=None).expand(
        documents=[(DOCUMENTS / name).as_uri() for name in ("table.png", "missing.pdf")]
    )
