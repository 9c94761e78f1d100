"""Time of queries of the views of current versions, on a server that is started for it.

python -m benchmarks.current_views postgres --documents 200000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, text

from airflow_deepseek_ocr.store.migrate import upgrade
from tests.support.servers.mariadb import mariadb
from tests.support.servers.postgres import postgres

_PREFIX = "s3://documents/some/longer/prefix/2026/"
#: Two versions of each document, with two pages of 1,000 characters each.
_VERSIONS, _PAGES = 2, 2
_URI = f"{_PREFIX}17/invoice.pdf"
_QUERIES = {
    "pages of one document": f"SELECT page_number, markdown FROM ocr_current_pages WHERE uri = '{_URI}'",
    "all pages, length of their text": "SELECT sum(length(markdown)) FROM ocr_current_pages",
    "all documents by status": "SELECT status, count(*) FROM ocr_current_documents GROUP BY status",
    "first 1,000 pages in order": "SELECT uri, page_number, markdown FROM ocr_current_pages "
    "WHERE is_newest_config ORDER BY uri, page_number LIMIT 1000",
}


def main() -> None:
    """Fill the tables, and print the seconds of each query, twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database", choices=["postgres", "mariadb"])
    parser.add_argument("--documents", type=int, default=200_000, help="rows of ocr_documents")
    options = parser.parse_args()
    with _engine(options.database) as engine:
        _fill(engine, options.documents)
        with engine.connect() as connection:
            print(connection.scalar(text("SELECT version()")))
            for name, query in _QUERIES.items():
                print(f"{name}: {', '.join(_seconds(connection, query) for _ in '12')} s")


@contextmanager
def _engine(database: str) -> Iterator[Engine]:
    with (postgres if database == "postgres" else mariadb)() as server:
        engine = create_engine(server.sqlalchemy_url, isolation_level="AUTOCOMMIT")
        upgrade(create_engine(server.sqlalchemy_url))
        yield engine
        engine.dispose()


def _fill(engine: Engine, documents: int) -> None:
    is_postgres = engine.dialect.name == "postgresql"
    numbers = (
        f"generate_series(1, {documents}) AS s(seq)" if is_postgres else f"seq_1_to_{documents}"
    )
    kind = "text" if is_postgres else "char"
    analyze = "VACUUM ANALYZE" if is_postgres else "ANALYZE TABLE ocr_documents, ocr_pages"
    per_version = documents // _VERSIONS
    with engine.connect() as connection:
        connection.execute(
            text(
                "INSERT INTO ocr_documents (document_key, version_key, uri, version, last_modified, "
                "config_key, config, model, revision, prompt, resolution, status, retryable, media_type, "
                "page_count, claims, created_at, updated_at) "
                f"SELECT concat(md5(concat('d', seq)), md5('')), concat(md5(concat('v', seq)), md5('')), "
                f"concat('{_PREFIX}', cast(seq % {per_version} AS {kind}), '/invoice.pdf'), "
                f"cast(seq AS {kind}), CURRENT_TIMESTAMP, '{'c' * 64}', '{'x' * 400}', 'm', 'r', "
                f"'markdown', 'gundam', 'done', false, 'application/pdf', {_PAGES}, 1, CURRENT_TIMESTAMP, "
                f"CURRENT_TIMESTAMP FROM {numbers}"
            )
        )
        for page in range(1, _PAGES + 1):
            connection.execute(
                text(
                    "INSERT INTO ocr_pages (document_id, page_number, status, resolution, width, height, "
                    "text, markdown, vision_tokens, text_tokens, seconds, created_at) "
                    f"SELECT id, {page}, 'ok', 'gundam', 1, 1, '{'t' * 1000}', '{'m' * 1000}', 1, 1, 1, "
                    "CURRENT_TIMESTAMP FROM ocr_documents"
                )
            )
        connection.execute(text(analyze))


def _seconds(connection: Connection, query: str) -> str:
    start = time.monotonic()
    connection.execute(text(query)).fetchall()
    return f"{time.monotonic() - start:.3f}"


if __name__ == "__main__":
    main()
