"""Read the documents listed in a parameter, and write a table with their status and page counts.

Triggered by hand. Set the parameters ``documents`` and ``resolution``. The table ``ocr_report`` has one row
for each document and run; tables have the prefix and schema of Airflow's configuration. Connections as in
``s3_to_database``.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, BaseHook, Param, task

from airflow_deepseek_ocr.operators.deepseek_ocr import DeepSeekOCROperator

DB_CONN_ID = "deepseek_ocr_db"

REPORT = """
CREATE TABLE IF NOT EXISTS {report} (
    run_id VARCHAR(250) NOT NULL, uri TEXT NOT NULL, status VARCHAR(16) NOT NULL, error TEXT,
    pages INTEGER, vision_tokens INTEGER, text_tokens INTEGER)
"""
OLD = "DELETE FROM {report} WHERE run_id = :run"
# The newest version of each document, whichever run has read it.
NEW = """
INSERT INTO {report} (run_id, uri, status, error, pages, vision_tokens, text_tokens)
SELECT :run, d.uri, d.status, d.error, COUNT(p.id), SUM(p.vision_tokens), SUM(p.text_tokens)
FROM {current_documents} d LEFT JOIN {pages} p ON p.document_id = d.id
WHERE d.uri IN :uris AND d.config_key = :config
GROUP BY d.id, d.uri, d.status, d.error
"""

with DAG(
    "documents_report",
    description=__doc__.splitlines()[0],
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    render_template_as_native_obj=True,
    params={
        # Who may trigger the DAG must not read the worker's files with file://.
        "documents": Param(
            ["s3://documents/invoice.pdf"],
            type="array",
            items={"type": "string", "pattern": "^s3://"},
            description="URIs of the documents",
        ),
        "resolution": Param(
            "base",
            type="string",
            enum=["tiny", "small", "base", "large", "gundam", "auto"],
            description="resolution mode: a larger one reads smaller print, and costs more tokens",
        ),
    },
    tags=["deepseek-ocr"],
):
    # [START howto_documents_report]
    read = DeepSeekOCROperator(
        task_id="read",
        documents="{{ params.documents }}",
        resolution="{{ params.resolution }}",
        db_conn_id=DB_CONN_ID,
        retries=1,
    )
    # [END howto_documents_report]

    @task
    def report(
        summary: dict[str, Any], run_id: str | None = None, params: dict[str, Any] | None = None
    ) -> int:
        """Write the report and return its number of documents."""
        from sqlalchemy import bindparam, text

        from airflow_deepseek_ocr.airflow_support.table_names import configured_names

        uris = list(dict.fromkeys((params or {})["documents"]))
        engine = BaseHook.get_hook(DB_CONN_ID).get_sqlalchemy_engine()
        names = configured_names()
        tables = {
            name: names.qualified(f"ocr_{name}", engine.dialect)
            for name in ("report", "current_documents", "pages")
        }
        with ExitStack() as stack:
            stack.callback(engine.dispose)
            connection = stack.enter_context(engine.begin())
            connection.execute(text(REPORT.format(**tables)))
            connection.execute(text(OLD.format(**tables)), {"run": run_id})
            written = connection.execute(
                text(NEW.format(**tables)).bindparams(bindparam("uris", expanding=True)),
                {"run": run_id, "uris": uris, "config": summary["config_key"]},
            )
        return written.rowcount

    report(read.output)
