"""Who reads what: leases on document versions, and pages that are stored as they finish."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Row, case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode, UnavailableError
from airflow_deepseek_ocr.ocr.documents.reference import DocumentRef
from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig, document_key
from airflow_deepseek_ocr.ocr.results import (
    DocumentResult,
    DocumentStatus,
    PageResult,
    PageStatus,
    status_of,
)
from airflow_deepseek_ocr.store.database import Database
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.leases import Held, Lease, LeaseLostError, Settled
from airflow_deepseek_ocr.store.row_values import (
    TaskInfo,
    document_values,
    error_values,
    page_values,
    region_values,
)
from airflow_deepseek_ocr.store.tables import PROCESSING, Base, DocumentRow, PageRow, RegionRow

log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: How long a task that died keeps others from its documents.
DEFAULT_LEASE = timedelta(minutes=2)
#: Renewals in the time of a lease: several may fail before it is lost.
_RENEWALS = 4
#: Rows inserted in one statement.
_INSERT_CHUNK = 500
#: Failures that mean "not in this version any more": read again if the version turns up again.
GONE = ("missing_file", "missing_key", "overwritten")


class Ledger:
    """Claims documents for one task and writes what it reads of them.

    :param database: with the tables in place.
    :param recipe: how the task reads.
    :param task: the task instance.
    :param lease: how long a claim lasts unless it is renewed.
    """

    def __init__(
        self,
        database: Database,
        config: ProcessingConfig,
        task: TaskInfo,
        lease: timedelta = DEFAULT_LEASE,
    ) -> None:
        self._database, self._recipe, self._task, self._lease = database, config, task, lease
        self._lock = threading.Lock()
        self._leases: dict[int, Lease] = {}

    def claim(self, ref: DocumentRef, *, overwrite: bool = False) -> Lease | Held | Settled:
        """Take a document version for this task, unless it is read already or being read.

        A claim that ran out is taken over; a claim of the same task instance at once, because the
        try that made it is over.

        :param overwrite: read what is settled again, unless this task instance did so itself.
        :raises UnavailableError: ``database_unavailable``.
        """
        token = secrets.token_hex(16)
        claimed = self._database.transaction(
            lambda session: self._claim(session, ref, token, overwrite)
        )
        if isinstance(claimed, Lease):
            with self._lock:
                self._leases[claimed.document_id] = claimed
        return claimed

    def write_page(self, lease: Lease, page: PageResult) -> None:
        """Store a page with its regions in one transaction, in place of an earlier reading of it.

        :raises LeaseLostError: another task has taken the document over.
        :raises UnavailableError: ``database_unavailable``.
        """

        def work(session: Session) -> None:
            self._no_repeat_ngram(session, lease)
            session.execute(
                delete(PageRow).where(
                    PageRow.document_id == lease.document_id, PageRow.page_number == page.number
                )
            )
            values = page_values(lease.document_id, page) | {"created_at": DatabaseTime()}
            page_id = _insert(session, PageRow, values)
            regions = [
                region_values(page_id, position, region)
                for position, region in enumerate(page.regions)
            ]
            for start in range(0, len(regions), _INSERT_CHUNK):
                session.execute(insert(RegionRow), regions[start : start + _INSERT_CHUNK])

        self._write(lease, work)

    def complete(
        self, lease: Lease, *, media_type: str, page_count: int, pages: int
    ) -> DocumentResult:
        """Give the document the status that follows from its pages, and the lease back.

        :param media_type: the document's type by its content.
        :param page_count: pages it has.
        :param pages: how many of them were asked for, each of which has a row by now.
        :raises LeaseLostError: another task has taken the document over, or rows of pages are gone.
        :raises UnavailableError: ``database_unavailable``.
        """

        def work(session: Session) -> DocumentResult:
            self._no_repeat_ngram(session, lease)
            result = _result_of_pages(session, lease.document_id)
            if result.pages != pages:
                raise _lost()
            self._end(session, lease, result, media_type=media_type, page_count=page_count)
            return result

        return self._write(lease, work, last=True)

    def fail(self, lease: Lease, result: DocumentResult) -> None:
        """Write why the document could not be read (to its end), and give the lease back.

        Pages that were read stay.

        :param result: see :func:`failure`.

        :raises LeaseLostError: another task has taken the document over.
        :raises UnavailableError: ``database_unavailable``.
        """
        self._write(lease, lambda session: self._end(session, lease, result), last=True)

    def fail_unclaimed(self, ref: DocumentRef, result: DocumentResult) -> None:
        """Write why a document could not even be claimed, unless another task is at it.

        In one transaction: a row of a document whose version is not known, left open, would never be
        closed.

        :param result: see :func:`failure`.
        :raises UnavailableError: ``database_unavailable``.
        """
        token = secrets.token_hex(16)

        def work(session: Session) -> None:
            claimed = self._claim(session, ref, token, overwrite=False)
            if isinstance(claimed, Lease):
                self._end(session, claimed, result)

        self._database.transaction(work)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the leases in a thread of its own until the block ends, then give back what is left."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(self._lease.total_seconds() / _RENEWALS):
                self._renew()

        thread = threading.Thread(target=renew, name="lease-renewal", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.release()

    def holds(self, lease: Lease) -> bool:
        """Whether the lease was neither given back nor, as far as is known, lost."""
        return self._leases.get(lease.document_id) is lease

    def release(self) -> None:
        """Give all leases back, so that others need not wait; if the database is away they run out."""
        with self._lock:
            leases = [self._leases.pop(document_id) for document_id in sorted(self._leases)]
        self._change_quietly(leases, {"lease_expires_at": None})

    def _renew(self) -> None:
        with self._lock:
            leases = [self._leases[document_id] for document_id in sorted(self._leases)]
        for lost in self._change_quietly(leases, {"lease_expires_at": DatabaseTime(self._lease)}):
            self._forget(lost)

    def _change_quietly(self, leases: list[Lease], values: dict[str, Any]) -> list[Lease]:
        """Change the rows of these leases; returns the leases that are not ours any more."""

        def work(session: Session) -> list[Lease]:
            return [lease for lease in leases if not self._change(session, lease, values)]

        if not leases:
            return []
        try:
            return self._database.transaction(work, patient=False)
        except UnavailableError as error:
            log.warning("The leases of %d documents were not changed: %s", len(leases), error)
            return []

    def _change(self, session: Session, lease: Lease, values: dict[str, Any]) -> bool:
        held = _held_by(lease) & DocumentRow.lease_expires_at.is_not(None)
        changed = session.execute(update(DocumentRow).where(held).values(values))
        return changed.rowcount > 0  # type: ignore[attr-defined,no-any-return]

    def _claim(
        self, session: Session, ref: DocumentRef, token: str, overwrite: bool
    ) -> Lease | Held | Settled:
        row = session.execute(
            select(DocumentRow.__table__, DatabaseTime().label("now"))
            .where(DocumentRow.document_key == document_key(ref, self._recipe))
            .with_for_update()
        ).one_or_none()
        owner = vars(self._task) | {
            "status": PROCESSING,
            "retryable": False,
            "lease_token": token,
            "lease_expires_at": DatabaseTime(self._lease),
            "updated_at": DatabaseTime(),
        }
        if row is None:
            first = {"claims": 1, "created_at": DatabaseTime()}
            values = document_values(ref, self._recipe) | owner | first
            return Lease(_insert(session, DocumentRow, values), token)
        ours = self._is_ours(row)
        if row.lease_token != token:  # else the answer to this very claim was lost
            if row.lease_expires_at is not None and row.lease_expires_at > row.now:
                if not (ours and (row.try_number or 0) <= (self._task.try_number or 0)):
                    return Held(_owner(row), (row.lease_expires_at - row.now).total_seconds())
            elif _is_settled(row) and (ours or not overwrite):
                return Settled(_result_of_row(session, row) if ours else None)
            if overwrite and not ours:
                session.execute(
                    update(PageRow).where(PageRow.document_id == row.id).values(is_final=False)
                )
            session.execute(
                update(DocumentRow)
                .where(DocumentRow.id == row.id)
                .values(owner | {"claims": row.claims + 1, "error_code": None, "error": None})
            )
        settled = session.scalars(
            select(PageRow.page_number).where(PageRow.document_id == row.id, PageRow.is_final)
        )
        return Lease(row.id, token, frozenset(settled))

    def _is_ours(self, row: Row[Any]) -> bool:
        """Whether the row is of the same task instance, maybe of an earlier try."""
        task = self._task
        return task.dag_id is not None and (
            (row.dag_id, row.run_id, row.task_id, row.map_index)
            == (task.dag_id, task.run_id, task.task_id, task.map_index)
        )

    def _write(self, lease: Lease, work: Callable[[Session], _T], *, last: bool = False) -> _T:
        try:
            result = self._database.transaction(work)
        except LeaseLostError:
            self._forget(lease)
            raise
        if last:
            self._forget(lease)
        return result

    def _forget(self, lease: Lease) -> None:
        with self._lock:
            if self.holds(lease):
                del self._leases[lease.document_id]

    def _no_repeat_ngram(self, session: Session, lease: Lease) -> None:
        """Lock the document's row until the transaction ends, if the lease is still ours.

        It may have run out: as long as nobody took the document over, it is.
        """
        row = select(DocumentRow.id).where(_held_by(lease)).with_for_update()
        if session.scalar(row) is None:
            raise _lost()

    def _end(self, session: Session, lease: Lease, result: DocumentResult, **values: Any) -> None:
        # The token stays: should the answer to the commit be lost, the same end is written again.
        ended = session.execute(
            update(DocumentRow)
            .where(_held_by(lease))
            .values(
                status=result.status.value,
                retryable=result.retryable,
                **error_values(result.error_code, result.error),
                lease_expires_at=None,
                updated_at=DatabaseTime(),
                **values,
            )
        )
        if ended.rowcount == 0:  # type: ignore[attr-defined]
            raise _lost()


def _lost() -> LeaseLostError:
    return LeaseLostError(ErrorCode.LEASE_LOST, "Another task reads this document now.")


def failure(error: DeepSeekOCRError, retryable: bool | None = None) -> DocumentResult:
    """The result of a document that could not be read because of ``error``.

    :param retryable: whether a later try may succeed; by the error's class if None.
    """
    if retryable is None:
        retryable = isinstance(error, UnavailableError)
    return DocumentResult(
        DocumentStatus.FAILED, error_code=error.code, error=str(error), retryable=retryable
    )


def _insert(session: Session, table: type[Base], values: dict[str, Any]) -> int:
    """Insert a row and return its id."""
    key = session.execute(insert(table.__table__).values(values)).inserted_primary_key  # type: ignore
    return int(key[0])


def _held_by(lease: Lease) -> Any:
    return (DocumentRow.id == lease.document_id) & (DocumentRow.lease_token == lease.token)


def _is_settled(row: Row[Any]) -> bool:
    return not (row.status == PROCESSING or row.retryable or row.error_code in GONE)


def _owner(row: Row[Any]) -> str:
    if row.dag_id is None:
        return "a process outside Airflow"
    mapped = "" if row.map_index in (None, -1) else f"[{row.map_index}]"
    return f"{row.dag_id}, {row.run_id}, {row.task_id}{mapped}, try {row.try_number}"


def _result_of_row(session: Session, row: Row[Any]) -> DocumentResult:
    pages = _result_of_pages(session, row.id)
    return DocumentResult(
        DocumentStatus(row.status),
        pages.pages,
        pages.failed_pages,
        row.error_code,
        row.error,
        row.retryable,
    )


def _result_of_pages(session: Session, document_id: int) -> DocumentResult:
    failed = PageRow.status == PageStatus.FAILED.value
    pages, failed_pages, unsettled = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(case((failed, 1), else_=0)), 0),
            func.coalesce(func.sum(case((PageRow.is_final, 0), else_=1)), 0),
        ).where(PageRow.document_id == document_id)
    ).one()
    status = status_of(int(pages), int(failed_pages))
    code, error = None, None
    if status is DocumentStatus.FAILED and pages:
        code, error = session.execute(
            select(PageRow.error_code, PageRow.error)
            .where(PageRow.document_id == document_id, failed)
            .order_by(PageRow.page_number)
            .limit(1)
        ).one()
    return DocumentResult(status, int(pages), int(failed_pages), code, error, unsettled > 0)
