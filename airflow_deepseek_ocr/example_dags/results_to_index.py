"""Read documents, and hand their pages on as JSON Lines that a search index or a language model loads.

Triggered by hand. Set the parameters ``prefix`` and ``index_bucket``. One object is written for each
document, and again under the same name by a retry. Connections as in ``s3_to_database``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator

DB_CONN_ID = "deepseek_ocr_db"

with DAG(
    "results_to_index",
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
        ),
        # Not below a prefix that a sensor watches: it would find the objects.
        "index_bucket": Param("index", type="string", description="bucket of the JSON Lines"),
    },
    tags=["deepseek-ocr"],
):
    read = DeepSeekOCROperator(
        task_id="read", s3_prefix="{{ params.prefix }}", db_conn_id=DB_CONN_ID, retries=2
    )

    # [START howto_results_to_index]
    @task(retries=2)
    def index(returned: dict[str, Any], params: dict[str, Any] | None = None) -> int:
        """Write the pages of the documents, and return their number."""
        import json

        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        from airflow_deepseek_ocr.hooks.ocr_results import OcrResults

        s3, pages = S3Hook("aws_default"), 0
        with OcrResults(DB_CONN_ID) as results:
            for document in results.documents_of(returned):
                lines = [
                    {
                        "id": f"{document.uri}#page={page.page_number}",
                        "text": page.text,
                        "metadata": {
                            "uri": document.uri,
                            "version": document.version,
                            "page_number": page.page_number,
                            "score": page.score,
                            "is_corrected": page.is_corrected,
                        },
                    }
                    for page in results.pages(document)
                    if page.status != "failed" or page.is_corrected or page.is_accepted
                ]
                s3.load_string(
                    "".join(f"{json.dumps(line)}\n" for line in lines),
                    key=f"pages/{document.id}.jsonl",
                    bucket_name=(params or {})["index_bucket"],
                    replace=True,
                )
                pages += len(lines)
        return pages
        # [END howto_results_to_index]

    index(read.output)
