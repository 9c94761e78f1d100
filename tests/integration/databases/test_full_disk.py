"""A full disk below the database."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.exceptions import DatabaseError, ErrorCode
from airflow_deepseek_ocr.store.ledger import Ledger
from tests.integration.conftest import SERVERS, Connect, database_connection
from tests.support.fixtures.stored_documents import CONFIG, CONN_ID, LONG, TASK, claim, page
from tests.support.servers.disk import small_disk_or_skip
from tests.support.servers.mariadb import mariadb
from tests.support.servers.mysql import mysql
from tests.support.servers.postgres import postgres

START = {"postgres": postgres, "mariadb": mariadb, "mysql": mysql}
#: MiB: what a server takes at its start, and room to write.
SIZES = {"sqlite": 8, "postgres": 96, "mariadb": 256, "mysql": 384}


@pytest.mark.parametrize(
    "kind",
    ["sqlite", "postgres", pytest.param("mariadb", marks=pytest.mark.slow), SERVERS[-1]],
)
def test_a_page_waits_for_the_database_to_have_space(kind: str, connect: Connect) -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk_or_skip(SIZES[kind]))
        if kind == "sqlite":
            connect(CONN_ID, {"conn_type": "sqlite", "host": str(disk.path / "results.db")})
        else:
            server = stack.enter_context(START[kind](disk.path))
            connect(CONN_ID, database_connection(server))
        opened = stack.enter_context(closing(open_store(CONN_ID, patience_s=0.5)))
        ledger = Ledger(opened.database, CONFIG, TASK, LONG)
        lease = claim(ledger)
        text = "".join(map(chr, range(0x3400, 0x9F00)))  # which no database makes much smaller
        disk.fill()
        stored = 0
        with pytest.raises(DatabaseError) as caught:
            while stored < 200:
                ledger.write_page(lease, page(stored + 1, text))
                stored += 1
        if kind == "mariadb" and caught.value.code is ErrorCode.DATABASE_UNAVAILABLE:
            pass  # the server may end instead of saying it
        else:
            assert caught.value.code is ErrorCode.DATABASE_FULL
            assert "Free disk space" in str(caught.value)
        disk.free()
        if kind != "sqlite":
            server.recover()
        ledger.write_page(lease, page(stored + 1, text))
        result = ledger.complete(lease, media_type="", page_count=stored + 1, pages=stored + 1)
        assert (result.pages, result.failed_pages) == (stored + 1, 0)
