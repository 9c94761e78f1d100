"""What a look for new documents costs: with the bucket's size, and with what was read long ago."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from sqlalchemy import insert, text

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.connection.options import DiscoveryOptions
from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.pipeline.discovery import Discovery
from airflow_deepseek_ocr.sources.s3 import Listing
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import document_values
from airflow_deepseek_ocr.store.tables import DocumentRow
from tests.integration.conftest import Connect, database_connection
from tests.support.servers.database import Database
from tests.support.servers.moto_s3 import ACCESS_KEY, REGION, SECRET_KEY, start_moto
from tests.support.servers.process import LOOPBACK, Process, data_directory, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

BUCKET, KEYS, OLD = "many", 100_000, 1_000_000
#: The whole bucket, and the tenth of it under ten of its hundred prefixes.
ALL, TENTH = "", "0"
CONFIG = Settings(model="model", revision="r1", resolution="small").processing_config()


@pytest.fixture(scope="module")
def many_keys() -> Iterator[Any]:
    """A client of an S3 server with that many keys."""
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
    """Rows of documents that were read."""
    rest = {"status": "done", "retryable": False, "claims": 1}
    with store.database.engine.begin() as connection:
        now = connection.scalar(DatabaseTime().select())
        times = {"created_at": now, "updated_at": now}
        for start in range(0, len(refs), 5000):
            rows = [document_values(r, CONFIG) | rest | times for r in refs[start : start + 5000]]
            connection.execute(insert(DocumentRow), rows)


@dataclass(frozen=True)
class Look:
    """What a look found, how long it took, and the processor's time of this process in it."""

    found: int
    seconds: float
    cpu: float


def look(client: Any, store: Store, prefix: str, **options: Any) -> Look:
    started, cpu = time.monotonic(), time.process_time()
    batches = Discovery(DiscoveryOptions(bucket=BUCKET, prefix=prefix, **options)).find(
        client, store
    )
    number = sum(map(len, batches))
    return Look(number, time.monotonic() - started, time.process_time() - cpu)


def peak(client: Any, store: Store, prefix: str) -> float:
    """MiB that a look takes at most."""
    tracemalloc.start()
    try:
        look(client, store, prefix)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def test_listing_many_keys(many_keys: Any, store: Store) -> None:
    some = look(many_keys, store, ALL, max_documents=1024)
    refs = list(Listing(BUCKET).documents(many_keys))
    assert len(refs) == KEYS
    remember(store, refs)
    del refs
    nothing = look(many_keys, store, ALL)
    tenth = look(many_keys, store, TENTH)
    memory = {prefix: peak(many_keys, store, prefix) for prefix in (TENTH, ALL)}
    print(
        f"\n{KEYS:,} keys, all of them known: {nothing.seconds:.1f} s, {nothing.cpu:.1f} s of it "
        f"at work here; a tenth: {tenth.seconds:.1f} s; "
        f"1,024 new ones: {some.seconds:.1f} s. Memory: {memory[TENTH]:.1f} MiB for a tenth, "
        f"{memory[ALL]:.1f} MiB for all."
    )
    assert (some.found, nothing.found, tenth.found) == (1024, 0, 0)
    # Not the clock: the server and the database share this host, and whatever else runs on it.
    assert nothing.cpu < 60
    assert memory[ALL] < memory[TENTH] + 2


def test_what_was_read_long_ago_costs_nothing(many_keys: Any, store: Store) -> None:
    refs = list(Listing(BUCKET, prefix=TENTH).documents(many_keys))
    remember(store, refs)
    before = min(look(many_keys, store, TENTH).seconds for _ in range(3))
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
    with store.database.engine.connect().execution_options(
        isolation_level="AUTOCOMMIT"
    ) as connection:
        connection.execute(text("VACUUM ANALYZE ocr_documents"))
    after = min(look(many_keys, store, TENTH).seconds for _ in range(3))
    print(
        f"\n{len(refs):,} keys: {before:.2f} s beside nothing else, {after:.2f} s beside {old:,} rows of "
        "documents that are gone"
    )
    assert old == OLD
    assert after < 1.5 * before + 0.2
