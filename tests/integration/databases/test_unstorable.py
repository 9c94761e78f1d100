"""Data that columns do not hold: what can be made to fit is stored, the rest fails its page alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.airflow_support.results_database import open_store
from airflow_deepseek_ocr.ocr.results import Attempt, Box, Region
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.row_values import TaskInfo
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow
from tests.integration.conftest import Connect, database_connection
from tests.support.fixtures.stored_documents import CONFIG, REF, TASK, page
from tests.support.servers.database import Database

BAD = "a\0b\ud800" + "c" * 200
HUGE = 10**30


def test_values_are_made_to_fit(store: Store, ledger: Callable[..., Ledger]) -> None:
    config = replace(CONFIG, model=BAD, prompt="locate:\0", revision=BAD)
    task = ledger(TaskInfo(BAD, BAD, BAD, HUGE, 1), config=config)
    ref = replace(REF, etag=BAD, size=HUGE, uri=f"s3://bucket/{BAD}")
    lease = task.claim(ref)
    odd = page(
        1,
        error_code=BAD,
        error=BAD * 100,
        resolution=BAD,
        width=HUGE,
        seconds=float("nan"),
        score=float("inf"),
        text_tokens=-HUGE,
        flags=(BAD,),
        attempts=(Attempt(how=BAD, resolution=BAD, score=float("nan"), error_code=BAD),),
        regions=(Region(BAD * 400, BAD, (Box((1, 1, 1, 1), (HUGE, 1, HUGE, 1)),)),),
    )
    assert task.write_page(lease, odd).error_code == BAD, "stored as it came"
    task.complete(lease, media_type=BAD, page_count=1, pages=1)
    with Session(store.database.engine) as session:
        row: Any = session.execute(select(PageRow)).scalar_one()
        assert row.error_code.startswith("a\ufffdb?ccc") and len(row.error_code) == 64
        assert (row.width, row.seconds, row.score) == (2**31 - 1, 0.0, None)
        document = session.execute(select(DocumentRow)).scalar_one()
        assert document.etag.startswith("a\ufffdb?") and document.prompt == "locate:\ufffd"
    assert task.claim(ref).by_us is not None, "the task knows its own row"


def test_a_stored_uri_that_names_no_document_is_not_handed_on(
    store: Store, ledger: Callable[..., Ledger]
) -> None:
    names = {"s3://bucket/good.pdf", "s3://bucket/nul\0.pdf"}
    dead = ledger()
    for uri in names:
        dead.claim(replace(REF, uri=uri))
    dead.release()
    with Session(store.database.engine) as session, session.begin():
        session.execute(text("UPDATE ocr_documents SET updated_at = '2020-01-01 00:00:00'"))
        session.execute(text("UPDATE ocr_documents SET lease_expires_at = '2020-01-01 00:00:00'"))
    assert [ref.uri for ref, _ in store.abandoned()] == ["s3://bucket/good.pdf"]
    (known,) = store.look_up([replace(REF, uri="s3://bucket/nul\0.pdf")]).values()
    assert known.state.value == "due", "a listing finds it"


def test_a_statement_over_the_servers_limit_fails_the_page(
    mariadb_server: Database, connect: Connect
) -> None:
    root = create_engine(mariadb_server.sqlalchemy_url)
    with root.connect() as connection:
        limit = connection.scalar(text("SELECT @@max_allowed_packet"))
    root.dispose()
    connect("results", database_connection(mariadb_server))
    store = open_store("results", patience_s=5)
    try:
        task = Ledger(store.database, CONFIG, TASK)
        lease = task.claim(replace(REF, version="over"))
        quotes = "'" * 900_000
        region = Region("text", quotes, ())
        long = page(1, quotes, regions=(region,) * (limit // 1_800_000 + 1))
        assert task.write_page(lease, long).error_code == "unstorable"
        assert (
            task.write_page(lease, page(2, "\U0001f600" * 900_000, regions=())).error_code is None
        )
        assert task.complete(lease, media_type="", page_count=2, pages=2).failed_pages == 1
    finally:
        store.close()


@pytest.mark.parametrize("column", ["text", "markdown"])
def test_a_database_that_refuses_a_value_fails_the_page(
    store: Store, ledger: Callable[..., Ledger], column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_deepseek_ocr.store.pages import page_rows

    values = page_rows.page_values

    def unfitted(document_id: int, each: Any) -> dict[str, Any]:
        refused = {column: None} if each.text == "bad" else {}
        return values(document_id, each) | refused

    monkeypatch.setattr(page_rows, "page_values", unfitted)
    task = ledger()
    lease = task.claim(REF)
    assert task.write_page(lease, page(1, "bad")).error_code == "unstorable"
    assert task.write_page(lease, page(2, "good")).error_code is None
    assert task.complete(lease, media_type="", page_count=2, pages=2).failed_pages == 1
