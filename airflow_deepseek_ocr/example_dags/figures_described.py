"""Read documents, have the model describe their pictures, and list the descriptions in the task's log.

Triggered by hand. Set the parameter ``prefix``. Descriptions are in ``ocr_regions.description``. Each
picture costs another request to the model. Connections as in ``s3_to_database``.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator

log = logging.getLogger(__name__)

with DAG(
    "figures_described",
    description=__doc__.splitlines()[0],
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "prefix": Param(
            "s3://documents/in/",
            type="string",
            pattern="^s3://",
            description="bucket and prefix of the documents",
        )
    },
    tags=["deepseek-ocr"],
):
    # [START howto_figures_described]
    read = DeepSeekOCROperator(
        task_id="read", s3_prefix="{{ params.prefix }}", figures="describe", retries=2
    )
    # [END howto_figures_described]

    @task
    def describe(returned: dict[str, Any]) -> int:
        """List the descriptions, and return their number."""
        from airflow_deepseek_ocr.hooks.ocr_results import OcrResults

        found = 0
        with OcrResults("deepseek_ocr_db") as results:
            for document in results.documents_of(returned):
                for page in results.pages(document):
                    for region in results.regions(page):
                        if region.description:
                            found += 1
                            where = f"{document.uri}, page {page.page_number}"
                            log.info("%s: %s", where, region.description)
        return found

    describe(read.output)
