"""Pages that a database does not take; tests/integration/databases/test_unstorable.py asks real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import ErrorCode
from airflow_deepseek_ocr.ocr.results import PageStatus
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.names import Names
from airflow_deepseek_ocr.store.pages.inserts import UnstorableError
from airflow_deepseek_ocr.store.pages.page_rows import (
    MAX_TEXT,
    store_page,
    unstorable,
)
from airflow_deepseek_ocr.store.results_store import Store
from airflow_deepseek_ocr.store.tables import rows_of
from tests.support.fixtures.stored_documents import CONFIG, REF, TASK, page


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(create_engine(f"sqlite:///{tmp_path}/results.db"))) as opened:
        opened.ensure_schema()
        yield opened


@pytest.mark.parametrize("field", ["text", "markdown"])
def test_a_text_over_the_limit_is_refused(store: Store, field: str) -> None:
    with Session(store.database.engine) as session:
        with pytest.raises(UnstorableError, match="1,000,001") as caught:
            store_page(session, rows_of(Names()), 1, page(1, **{field: "x" * (MAX_TEXT + 1)}))
        session.rollback()
    assert caught.value.code is ErrorCode.UNSTORABLE


def test_the_row_of_an_unstorable_page_has_none_of_its_data() -> None:
    failed = unstorable(page(7, "secret"), UnstorableError("too long"))
    assert (failed.number, failed.status, failed.error_code) == (7, PageStatus.FAILED, "unstorable")
    assert (failed.text, failed.markdown, failed.regions, failed.retryable) == ("", "", (), False)


def test_the_ledger_returns_what_it_stored(store: Store) -> None:
    ledger = Ledger(store.database, CONFIG, TASK)
    lease = ledger.claim(REF)
    good = page(1)
    assert ledger.write_page(lease, good) is good
    assert ledger.write_page(lease, page(2, "x" * (MAX_TEXT + 1))).error_code == "unstorable"
    result = ledger.complete(lease, media_type="application/pdf", page_count=2, pages=2)
    assert (result.status.value, result.failed_pages, result.retryable) == ("partial", 1, False)
