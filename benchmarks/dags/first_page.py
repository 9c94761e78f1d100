"""A run whose task reads one page and says how long that took it."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

from airflow.sdk import DAG, task

from airflow_deepseek_ocr.hooks.deepseek_ocr import DeepSeekOCRHook

with DAG("first_page", schedule=None, start_date=datetime(2026, 1, 1)):

    @task
    def read() -> None:
        from airflow_deepseek_ocr.ocr.documents.open import open_document
        from airflow_deepseek_ocr.ocr.engine_protocol import PageRequest

        with open_document(Path(os.environ["FIRST_PAGE_DOCUMENT"])) as document:
            image = document.page(1).image
        hook = DeepSeekOCRHook()
        settings = hook.settings
        started = time.monotonic()
        request = PageRequest(
            key=1,
            image=image,
            prompt=os.environ["FIRST_PAGE_PROMPT"],
            resolution=settings.resolution,
        )
        output = next(hook.get_conn().read([request]))
        if output.error is not None:
            raise output.error
        Path(os.environ["FIRST_PAGE_SECONDS"]).write_text(f"{time.monotonic() - started:.3f}")

    read()
