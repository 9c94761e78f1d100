"""A document, its readings and the tasks that claim it, on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.errors import UnavailableError
from airflow_deepseek_ocr.ocr.identity import DocumentRef, Recipe
from airflow_deepseek_ocr.ocr.results import (
    Box,
    PageResult,
    PageStatus,
    Region,
)
from airflow_deepseek_ocr.store.clock import DatabaseTime
from airflow_deepseek_ocr.store.leases import Lease
from airflow_deepseek_ocr.store.ledger import Ledger
from airflow_deepseek_ocr.store.rows import TaskInfo
from airflow_deepseek_ocr.store.store import Store
from airflow_deepseek_ocr.store.tables import DocumentRow, PageRow, RegionRow

RECIPE = Recipe("model", "r1", "markdown", "small", "", 144, 8192, 30, 90)
REF = DocumentRef(
    "s3://bucket/Ä/key.pdf",
    "v1",
    None,
    "v1",
    12,
    datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
)
TASK = TaskInfo("dag", "run", "task", 3, 1)
OTHER = TaskInfo("dag", "another run", "task", 3, 1)
CONN_ID = "results"
LONG = timedelta(hours=1)
ACCESS_DENIED = UnavailableError("access_denied", "no rights")


def page(number: int, content: str = "text", **changes: Any) -> PageResult:
    box = Box((1, 2, 3, 4), (10, 20, 30, 40))
    made = PageResult(
        number,
        PageStatus.OK,
        "small",
        100,
        200,
        content,
        content,
        (Region("text", content, (box, box)), Region("image", "")),
        111,
        50,
        0.5,
    )
    return replace(made, **changes)


def failed(number: int, *, retryable: bool = False) -> PageResult:
    return page(
        number, status=PageStatus.FAILED, error_code=f"e{number}", error="e", retryable=retryable
    )


def counts(store: Store) -> tuple[int, ...]:
    with Session(store.database.engine) as session:
        return tuple(
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (DocumentRow, PageRow, RegionRow)
        )


def claim(ledger: Ledger, ref: DocumentRef = REF, **options: Any) -> Lease:
    lease = ledger.claim(ref, **options)
    assert isinstance(lease, Lease), lease
    return lease


def read(ledger: Ledger, *pages: PageResult, ref: DocumentRef = REF, **options: Any) -> None:
    """Claim a document, write its pages and complete it."""
    lease = claim(ledger, ref, **options)
    for each in pages:
        ledger.write_page(lease, each)
    number = len(pages) + len(lease.settled_pages - {each.number for each in pages})
    ledger.complete(lease, media_type="application/pdf", page_count=number, pages=number)


def run_out(store: Store) -> None:
    """Let time pass until all leases are over."""
    with Session(store.database.engine) as session, session.begin():
        session.execute(
            update(DocumentRow).values(lease_expires_at=DatabaseTime(timedelta(seconds=-1)))
        )


def document(store: Store) -> DocumentRow:
    with Session(store.database.engine) as session:
        return session.scalars(select(DocumentRow)).one()


def texts(store: Store) -> list[str]:
    with Session(store.database.engine) as session:
        return list(session.scalars(select(PageRow.text).order_by(PageRow.page_number)))


Make = Callable[..., Ledger]
