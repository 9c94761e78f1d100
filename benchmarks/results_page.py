"""Time of the requests of the page of results, with many documents, on a server that is started for it.

python -m benchmarks.results_page postgres --documents 100000
"""

from __future__ import annotations

import argparse
import json
import os
import time
from contextlib import closing

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, make_url, text

from airflow_deepseek_ocr.plugins.results_page import rights
from airflow_deepseek_ocr.plugins.results_page.app import make_app
from airflow_deepseek_ocr.plugins.results_page.state import state
from airflow_deepseek_ocr.store.migrate import upgrade
from tests.support.servers.mariadb import mariadb
from tests.support.servers.postgres import postgres

#: DAGs, and pages of a document with a text of 1,024 characters each.
_DAGS, _PAGES = 50, 2
_REPEATS = 3
#: Requests as the browser makes them.
_REQUESTS = {
    "first list": "documents",
    "counts by status": "counts",
    "list of one DAG": "documents?dag_id=dag_7",
    "documents of one run": "documents?dag_id=dag_7&run_id=run_7",
    "failed documents": "documents?status=failed",
    "older documents": "documents?before=1000",
    "name with one hit": "documents?q=/17/invoice",
    "counts of a name": "counts?q=/17/invoice",
    "text in many pages": "documents?q=ab&in_text=true",
    "text in no page": "documents?q=no+such+text&in_text=true",
    "queue by score": "queue?below=0.8",
    "queue by confidence": "queue?order=confidence&below=0.8",
    "a document": "documents/4711",
    "a page": "documents/4711/pages/1",
}


def main() -> None:
    """Fill the tables, and print the seconds of each request."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database", choices=["postgres", "mariadb"])
    parser.add_argument("--documents", type=int, default=100_000, help="rows of ocr_documents")
    options = parser.parse_args()
    with (postgres if options.database == "postgres" else mariadb)() as server:
        engine = create_engine(server.sqlalchemy_url, isolation_level="AUTOCOMMIT")
        upgrade(create_engine(server.sqlalchemy_url))
        _fill(engine, options.documents)
        engine.dispose()
        _connect(server.sqlalchemy_url)
        with closing(state().database):
            _measure()


def _measure() -> None:
    rights.get_auth_manager = SimpleAuthManager
    app = make_app()
    user = SimpleAuthManagerUser(username="viewer", role="VIEWER")
    app.dependency_overrides[get_user] = lambda: user
    with TestClient(app) as client:
        client.get("/api/session")
        for name, path in _REQUESTS.items():
            seconds = []
            for _ in range(_REPEATS):
                start = time.monotonic()
                response = client.get(f"/api/{path}")
                seconds.append(f"{time.monotonic() - start:.3f}")
            found = response.json()
            hits = len(found.get("documents", found.get("pages", [])) or [])
            partial = ", partial" if found.get("is_partial") else ""
            print(f"{name}: {', '.join(seconds)} s ({response.status_code}, {hits} rows{partial})")


def _connect(address: str) -> None:
    """Set the page's Airflow connection."""
    url = make_url(address)
    connection = {
        "conn_type": "postgres" if url.get_backend_name() == "postgresql" else "mysql",
        "host": url.host,
        "port": url.port,
        "login": url.username,
        "password": url.password,
        "schema": url.database,
    }
    os.environ["AIRFLOW_CONN_DEEPSEEK_OCR_DB"] = json.dumps(connection)


def _fill(engine: Engine, documents: int) -> None:
    is_postgres = engine.dialect.name == "postgresql"
    numbers = (
        f"generate_series(1, {documents}) AS s(seq)" if is_postgres else f"seq_1_to_{documents}"
    )
    kind = "text" if is_postgres else "char"
    analyze = "VACUUM ANALYZE" if is_postgres else "ANALYZE TABLE ocr_documents, ocr_pages"
    status = "CASE seq % 50 WHEN 0 THEN 'failed' WHEN 1 THEN 'partial' ELSE 'done' END"
    words = f"repeat(md5(concat(cast(d.id AS {kind}), ' ', cast({{page}} AS {kind}))), 32)"
    with engine.connect() as connection:
        connection.execute(
            text(
                "INSERT INTO ocr_documents (document_key, version_key, uri, version, last_modified, "
                "config_key, config, model, revision, prompt, resolution, status, retryable, media_type, "
                "page_count, claims, dag_id, run_id, task_id, map_index, created_at, updated_at, "
                "finished_at) "
                "SELECT concat(md5(concat('d', seq)), md5('')), concat(md5(concat('v', seq)), md5('')), "
                f"concat('s3://documents/some/longer/prefix/2026/', cast(seq AS {kind}), '/invoice.pdf'), "
                f"'v', CURRENT_TIMESTAMP, '{'c' * 64}', '{'x' * 400}', 'm', 'r', 'markdown', 'gundam', "
                f"{status}, false, 'application/pdf', {_PAGES}, 1, "
                f"concat('dag_', cast(seq % {_DAGS} AS {kind})), concat('run_', cast(seq % 1000 AS {kind})), "
                f"'read', 0, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP FROM {numbers}"
            )
        )
        for page in range(1, _PAGES + 1):
            content = words.format(page=page)
            connection.execute(
                text(
                    "INSERT INTO ocr_pages (document_id, page_number, status, resolution, width, height, "
                    "text, markdown, vision_tokens, text_tokens, seconds, score, confidence, flags, "
                    f"created_at) SELECT d.id, {page}, 'ok', 'gundam', 1, 1, {content}, {content}, 1, 1, 1, "
                    f"(d.id % 100) / 100.0, (d.id % 90) / 90.0, '[]', CURRENT_TIMESTAMP FROM ocr_documents d"
                )
            )
        connection.execute(text(analyze))


if __name__ == "__main__":
    main()
