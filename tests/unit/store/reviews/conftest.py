"""A page that people review."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.ocr.results import PageResult, Region
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.reviews.corrections import Seen
from airflow_deepseek_ocr.store.tables import PageRow, RegionRow, TableCellRow
from tests.support.fixtures.stored_documents import CONFIG, REF, TASK, page

TABLE = "<table><tr><td>1</td></tr></table>"


class Reviewed:
    """A document of one page with two regions, a title and a table."""

    def __init__(self, store: Store) -> None:
        self.store, self.database = store, store.database
        self.ledger = Ledger(store.database, CONFIG, TASK)
        lease = self.ledger.claim(REF)
        assert not hasattr(lease, "owner")
        self._lease: Any = lease
        self.read("Title", TABLE)

    def read(self, *texts: str) -> None:
        """Store the page again, with these texts of its regions."""
        markdown = "\n\n".join(texts)
        regions = tuple(Region("text", text) for text in texts)
        made: PageResult = page(1, markdown, regions=regions)
        self.ledger.write_page(self._lease, made)

    def seen(self, reviewed_at: datetime | None = None) -> Seen:
        """Return the state of the page that a person has before them."""
        return Seen(self.page.created_at, reviewed_at)

    @property
    def page(self) -> PageRow:
        with Session(self.database.engine) as session:
            return session.scalars(select(PageRow)).one()

    @property
    def regions(self) -> list[RegionRow]:
        with Session(self.database.engine) as session:
            return list(session.scalars(select(RegionRow).order_by(RegionRow.position)))

    @property
    def cells(self) -> list[str]:
        with Session(self.database.engine) as session:
            return list(session.scalars(select(TableCellRow.text)))


@pytest.fixture
def reviewed(tmp_path: Path) -> Iterator[Reviewed]:
    with closing(Store(create_engine(f"sqlite:///{tmp_path}/results.db"))) as opened:
        opened.ensure_schema()
        yield Reviewed(opened)
