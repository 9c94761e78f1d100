"""Cost of a poll for new documents: with the size of the bucket, and with rows of deleted documents."""

from __future__ import annotations

import json
import math
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from sqlalchemy import event, insert, text

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.connection.options import DiscoveryOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.discovery import Discovery
from airflow_deepseek_ocr.sources.s3 import Listing
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.lists.document_lists import DocumentLists
from airflow_deepseek_ocr.store.lists.list_slice import ListSlice
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import document_values
from airflow_deepseek_ocr.store.tables import DocumentRow
from tests.integration.conftest import Connect, database_connection
from tests.support.servers.database import Database
from tests.support.servers.moto_s3 import ACCESS_KEY, REGION, SECRET_KEY, start_moto
from tests.support.servers.process import LOOPBACK, Process, data_directory, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

BUCKET, KEYS, OLD = "many", 100_000, 1_000_000
#: Prefixes of the whole bucket, and of a tenth of it.
ALL, TENTH = "", "0"
CONFIG = Settings(model="model", revision="r1", resolution="small").processing_config()


@pytest.fixture(scope="module")
def many_keys() -> Iterator[Any]:
    """A client of an S3 server with a bucket of 100,000 keys."""
    with data_directory() as directory:
        port = free_port()
        argv = [
            sys.executable,
            "-m",
            "tests.support.servers.moto_with_keys",
            str(port),
            BUCKET,
            str(KEYS),
        ]
        process = Process(argv, directory, directory / "server.log")
        process.cwd = "."  # type: ignore[assignment]
        try:
            start_moto(process, port)
            yield boto3.client(
                "s3",
                endpoint_url=f"http://{LOOPBACK}:{port}",
                region_name=REGION,
                aws_access_key_id=ACCESS_KEY,
                aws_secret_access_key=SECRET_KEY,
            )
        finally:
            process.stop()


@pytest.fixture
def store(postgres_server: Database, connect: Connect) -> Iterator[Store]:
    connect("scale", database_connection(postgres_server))
    with closing(open_store("scale")) as opened:
        with opened.database.engine.begin() as connection:
            connection.execute(text("TRUNCATE ocr_documents CASCADE"))
        yield opened
        with opened.database.engine.begin() as connection:
            connection.execute(text("TRUNCATE ocr_documents CASCADE"))


def remember(store: Store, refs: list[DocumentRef]) -> None:
    """Store rows of documents that were read."""
    rest = {"status": "done", "retryable": False, "claims": 1}
    with store.database.engine.begin() as connection:
        now = connection.scalar(DatabaseTime().select())
        times = {"created_at": now, "updated_at": now}
        for start in range(0, len(refs), 5000):
            rows = [document_values(r, CONFIG) | rest | times for r in refs[start : start + 5000]]
            connection.execute(insert(DocumentRow), rows)


def poll(client: Any, store: Store, prefix: str, **options: Any) -> int:
    """Poll for new documents; return how many there are."""
    options |= {"bucket": BUCKET, "prefix": prefix}
    return sum(map(len, Discovery(DiscoveryOptions(**options)).find(client, store)))


def peak(client: Any, store: Store, prefix: str) -> float:
    """Return the peak memory of a poll in MiB."""
    tracemalloc.start()
    try:
        poll(client, store, prefix)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def plans(client: Any, store: Store, prefix: str) -> list[str]:
    """Return how the database executes the queries of a poll."""
    engine, queries = store.database.engine, []

    def record(_connection: Any, _cursor: Any, query: str, values: Any, *_: Any) -> None:
        if "FROM ocr_documents" in query:
            queries.append((query, values))

    event.listen(engine, "before_cursor_execute", record)
    try:
        poll(client, store, prefix)
    finally:
        event.remove(engine, "before_cursor_execute", record)
    with engine.connect() as connection:
        return [
            "\n".join(connection.exec_driver_sql(f"EXPLAIN {query}", values).scalars())
            for query, values in queries
        ]


def test_the_memory_of_a_poll_does_not_grow_with_the_bucket(many_keys: Any, store: Store) -> None:
    assert poll(many_keys, store, ALL, max_documents=1024) == 1024
    refs = list(Listing(BUCKET).documents(many_keys))
    assert len(refs) == KEYS
    remember(store, refs)
    del refs
    assert poll(many_keys, store, ALL) == poll(many_keys, store, TENTH) == 0
    memory = {prefix: peak(many_keys, store, prefix) for prefix in (TENTH, ALL)}
    print(f"\nMemory: {memory[TENTH]:.1f} MiB for a tenth, {memory[ALL]:.1f} MiB for all keys.")
    assert memory[ALL] < memory[TENTH] + 2


def test_a_poll_does_not_scan_rows_of_deleted_documents(many_keys: Any, store: Store) -> None:
    remember(store, list(Listing(BUCKET, prefix=TENTH).documents(many_keys)))
    columns = ", ".join(
        column.name
        for column in DocumentRow.__table__.columns
        if column.name not in ("id", "document_key", "version_key", "uri")
    )
    with store.database.engine.begin() as connection:
        old = connection.execute(
            text(
                f"INSERT INTO ocr_documents (document_key, version_key, uri, {columns}) "
                f"SELECT md5('d' || n), md5('v' || n), 's3://{BUCKET}/gone/' || n, {columns} "
                f"FROM ocr_documents, generate_series(1, {OLD}) n "
                "WHERE id = (SELECT MIN(id) FROM ocr_documents)"
            )
        ).rowcount
    assert old == OLD
    with store.database.engine.connect().execution_options(
        isolation_level="AUTOCOMMIT"
    ) as connection:
        connection.execute(text("VACUUM ANALYZE ocr_documents"))
    found = plans(many_keys, store, TENTH)
    assert found, "a poll asks the database"
    for plan in found:
        assert "Seq Scan" not in plan, plan
        assert "Index" in plan, plan


def test_a_hundred_thousand_documents_are_a_list_in_the_database(
    many_keys: Any, store: Store
) -> None:
    lists, found = DocumentLists(store.database), list[str]()
    options = DiscoveryOptions(bucket=BUCKET, max_documents=KEYS, batch_size=128)
    search = Discovery(options)
    tracemalloc.start()
    started = time.monotonic()
    try:
        parts = search.find(many_keys, store, lists=lists, found=found)
        memory = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
    seconds = time.monotonic() - started
    slices = [part for part in parts if isinstance(part, ListSlice)]
    payload = json.dumps([part.as_dict() for part in slices])
    print(f"\n{seconds:.0f} s, {memory:.0f} MiB, {len(payload):,} bytes for an XCom.")
    assert len(slices) == math.ceil(KEYS / 128)
    assert sum(part.count or 0 for part in slices) == len(found) == len(set(found)) == KEYS
    assert len(payload) < 100_000
    assert memory < 60
    last = list(lists.read(slices[-1]))
    assert [ref.version_key for ref in last] == found[-len(last) :]
    started = time.monotonic()
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE ocr_document_lists SET expires_at = '2026-01-01'"))
    assert lists.delete_expired() == 1
    print(f"Deleted in {time.monotonic() - started:.1f} s.")
