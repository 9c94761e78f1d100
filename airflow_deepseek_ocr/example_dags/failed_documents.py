"""Every hour, fail if documents or pages have failed since the last run, and name them.

A task that reads documents stays green when single documents cannot be read. This DAG turns red instead,
for all DAGs that write to the database, so that your ``on_failure_callback`` is called. The table
``ocr_alerts`` has each failure that was reported; tables have the prefix and schema of Airflow's
configuration. Set your ``on_failure_callback`` in the task, and create the connection ``deepseek_ocr_db``.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, BaseHook, task

DB_CONN_ID = "deepseek_ocr_db"
#: Failures that the error names; the others are in the database.
NAMED = 20

ALERTS = """
CREATE TABLE IF NOT EXISTS {alerts} (
    document_id BIGINT NOT NULL, claims INTEGER NOT NULL, PRIMARY KEY (document_id, claims))
"""
REPORTED = "INSERT INTO {alerts} (document_id, claims) VALUES (:id, :claims)"
# A document that is read again and fails again has more claims, and is reported again.
FAILED = """
SELECT d.id, d.claims, d.uri, d.status, COALESCE(d.error, (
    SELECT MIN(p.error) FROM {pages} p WHERE p.document_id = d.id AND p.status = 'failed')) AS error
FROM {documents} d
WHERE d.status IN ('failed', 'partial') AND NOT EXISTS (
    SELECT 1 FROM {alerts} a WHERE a.document_id = d.id AND a.claims = d.claims)
ORDER BY d.id
"""

with DAG(
    "failed_documents",
    description=__doc__.splitlines()[0],
    doc_md=__doc__,
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["deepseek-ocr"],
):
    # [START howto_failed_documents]
    # Add on_failure_callback=[...], such as a notifier of your mail or chat provider.
    @task(retries=0)
    def failed_documents() -> None:
        """Fail if there are failures that no earlier run has reported."""
        from sqlalchemy import text

        from airflow_deepseek_ocr.airflow_support.table_names import configured_names

        engine = BaseHook.get_hook(DB_CONN_ID).get_sqlalchemy_engine()
        names = configured_names()
        tables = {
            name: names.qualified(f"ocr_{name}", engine.dialect)
            for name in ("documents", "pages", "alerts")
        }
        with ExitStack() as stack:
            stack.callback(engine.dispose)
            connection = stack.enter_context(engine.begin())
            connection.execute(text(ALERTS.format(**tables)))
            failed = connection.execute(text(FAILED.format(**tables))).all()
            reported = text(REPORTED.format(**tables))
            for row in failed:
                connection.execute(reported, {"id": row.id, "claims": row.claims})
        if failed:
            named = "\n".join(f"{row.uri} ({row.status}): {row.error}" for row in failed[:NAMED])
            raise AirflowFailException(f"Documents that failed: {len(failed)}\n{named}")
        # [END howto_failed_documents]

    failed_documents()
