"""Statements of the guides on tables and full-text search, run by the databases that they are for."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import text

from airflow_deepseek_ocr.ocr.results import Region
from airflow_deepseek_ocr.store.browsing.selection import Selection, find
from airflow_deepseek_ocr.store.forget import forget
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from tests.conftest import ROOT
from tests.support.fixtures.older_tables import drop_tables
from tests.support.fixtures.stored_documents import CONFIG, REF, TASK, page, read

GUIDES = ROOT / "docs" / "guides"
INVOICE = (
    "<table><tr><td>Item</td><td>Amount</td></tr><tr><td>Bolts</td><td>$ 1,200.50</td></tr>"
    "<tr><td>Nuts</td><td>3</td></tr><tr><td>Total</td><td>1,203.50</td></tr></table>"
)
ROOM = "The room was north of a magnetic hill."
POLE = "A compass points to the North Magnetic Pole, not to the other one."

#: The databases as the guides name them, by SQLAlchemy's names.
NAMES = {
    "sqlite": "SQLite",
    "postgresql": "PostgreSQL",
    "mysql": "MariaDB and MySQL",
    "mariadb": "MariaDB and MySQL",
}


def statement(guide: str, mark: str) -> str:
    (found,) = re.findall(
        rf"^<!-- sql: {mark} -->\n```sql\n(.*?)^```",
        (GUIDES / guide).read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    return str(found).strip()


def number_of(database: str) -> str:
    """Return the expression of the guide's table for a database."""
    table = (GUIDES / "tables-as-rows.md").read_text("utf-8")
    name = NAMES[database].replace(" and", ",")
    (found,) = re.findall(rf"^\| {name} \| `(.*?)` \|", table, re.MULTILINE)
    return str(found)


def test_the_sum_of_a_column(store: Store, ledger: Callable[..., Ledger]) -> None:
    for number in (1, 2):
        made = page(1, regions=(Region("table", INVOICE),))
        read(ledger(), made, ref=replace(REF, uri=f"s3://invoices/{number}.pdf"))
    query = statement("tables-as-rows.md", "sum")
    assert number_of("sqlite") in query
    query = query.replace(number_of("sqlite"), number_of(store.database.engine.dialect.name))
    with store.database.engine.connect() as connection:
        cells, amount = connection.execute(text(query.replace("(?:", "(?\\:"))).one()
    assert (cells, float(amount)) == (4, 2 * 1203.5)


@pytest.fixture
def searched(store: Store) -> Iterator[Store]:
    """A database in which the guide's statements were run after a page was stored."""
    engine = store.database.engine
    ledger = Ledger(store.database, CONFIG, TASK)
    read(ledger, page(1, POLE), page(2, ROOM), ref=replace(REF, uri="s3://b/before.pdf"))
    create = statement("search.md", f"{NAMES[engine.dialect.name]}, create")
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(str(engine.url.database))) as connection:
            connection.executescript(create)
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(create))
    yield store
    if engine.dialect.name != "sqlite":
        drop_tables(engine)


def test_full_text_search_follows_the_pages(searched: Store) -> None:
    engine = searched.database.engine
    query = statement("search.md", f"{NAMES[engine.dialect.name]}, search")

    def found() -> list[tuple[str, int]]:
        with engine.connect() as connection:
            return sorted((row.uri, row.page_number) for row in connection.execute(text(query)))

    before, after = "s3://b/before.pdf", "s3://b/after.pdf"
    assert found() == [(before, 1)]
    ledger = Ledger(searched.database, CONFIG, TASK)
    read(ledger, page(1, ROOM), page(2, POLE.upper()), ref=replace(REF, uri=after))
    assert found() == [(after, 2), (before, 1)]
    with engine.begin() as connection:
        corrected = "UPDATE ocr_pages SET reviewed_text = :text WHERE markdown = :old"
        connection.execute(text(corrected), {"text": "nothing", "old": POLE})
    assert found() == [(after, 2)]
    (gone,) = find(searched.database, Selection(uris=(after,)))
    forget(searched.database, gone.document_key)
    assert found() == []
