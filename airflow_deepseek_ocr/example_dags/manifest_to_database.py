"""Read the documents that a manifest lists: a text file in S3 with one ``s3://`` URI in each line.

Triggered by hand, or by the program that writes the manifest (``POST
/api/v2/dags/manifest_to_database/dagRuns`` with ``{"logical_date": null, "conf": {"manifest":
"s3://..."}}``). Set the parameter ``manifest``. Any function that returns documents can be such a task: it
may ask a database, an API or an XCom. Connections as in ``s3_to_database``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Param, task

with DAG(
    "manifest_to_database",
    description=__doc__.splitlines()[0],
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "manifest": Param(
            "s3://documents/manifest.txt",
            type="string",
            pattern="^s3://",
            description="URI of the text file that lists the documents",
        )
    },
    tags=["deepseek-ocr"],
):
    # [START howto_manifest_to_database]
    @task.deepseek_ocr(retries=2)
    def read(params: dict[str, Any] | None = None) -> list[str]:
        """Return the documents that the manifest lists."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        lines = S3Hook("aws_default").read_key((params or {})["manifest"]).splitlines()
        uris = [line.strip() for line in lines if line.strip()]
        # Who may write the manifest must not read the worker's files with file://.
        if wrong := [uri for uri in uris if not uri.startswith("s3://")]:
            raise ValueError(f"Lines of the manifest that are no s3:// URIs: {wrong[:5]}")
        return uris
        # [END howto_manifest_to_database]

    read()
