"""Leases on documents, and the outcomes of a claim."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode
from airflow_deepseek_ocr.ocr.results import DocumentResult
from airflow_deepseek_ocr.store.database_clock import DatabaseTime
from airflow_deepseek_ocr.store.tables import PROCESSING, DocumentRow

#: Time until other tasks may reclaim the documents of a task that died. A lease is renewed four times in it,
#: so it survives three renewals that fail.
DEFAULT_LEASE = timedelta(minutes=2)

_LEASE = ("lease_expires_at", "dag_id", "run_id", "task_id", "map_index", "try_number")

#: Errors meaning that this version no longer exists; if it is listed again, it is processed again.
GONE = (ErrorCode.MISSING_FILE, ErrorCode.MISSING_KEY, ErrorCode.OVERWRITTEN)


#: Errors of documents that a person may mend in the storage. A task that names the document tries again; the
#: sensor does not, because nothing tells it that the cause is gone.
MENDABLE = (ErrorCode.ARCHIVED, ErrorCode.ENCRYPTED_ELSEWHERE, ErrorCode.STORAGE_REFUSED)


class LeaseLostError(DeepSeekOCRError):
    """Another task has reclaimed the document, or its row was deleted; the code is ``lease_lost``."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.LEASE_LOST,
            "Another task has reclaimed this document and continues it; this task skips it.",
        )

    def __reduce__(self) -> tuple[type[LeaseLostError], tuple[object, ...]]:
        return type(self), ()


@dataclass(frozen=True)
class Lease:
    """The right to write one document's pages.

    :param document_id: the document's row.
    :param token: unique to this claim; a task that reclaims the document gets another one.
    :param final_pages: numbers of the stored pages that are not processed again.
    """

    document_id: int
    token: str
    final_pages: frozenset[int] = frozenset()


@dataclass(frozen=True)
class LeasedByAnother:
    """Another task has the document's lease.

    :param owner: the task, for log messages.
    """

    owner: str


@dataclass(frozen=True)
class AlreadyFinal:
    """The document is stored, and processing it again would bring the same result.

    :param by_us: its result, if the same task instance stored it, possibly in an earlier try.
    :param document_id: the document's row.
    """

    by_us: DocumentResult | None = None
    document_id: int = field(default=0, compare=False)


#: The outcome of a claim.
Claimed: TypeAlias = Lease | LeasedByAnother | AlreadyFinal


def is_final(row: Any) -> bool:
    """Return whether processing the row's document again would bring the same result."""
    return not (row.status == PROCESSING or row.retryable or row.error_code in (*GONE, *MENDABLE))


def lease_columns(document: type[DocumentRow]) -> list[Any]:
    """Return the columns that :func:`is_leased` and :func:`owner_of` take."""
    return [DatabaseTime().label("now"), *(getattr(document, name) for name in _LEASE)]


def is_leased(row: Any) -> bool:
    """Return whether a task has the lease of a document's row.

    :param row: with ``lease_expires_at``, and with ``now``, the time by the database's clock.
    """
    return row.lease_expires_at is not None and row.lease_expires_at > row.now


def owner_of(row: Any) -> str:
    """Return the task that claimed a document's row last, for messages."""
    if row.dag_id is None:
        return "a process outside Airflow"
    mapped = "" if row.map_index in (None, -1) else f"[{row.map_index}]"
    return f"{row.dag_id}, {row.run_id}, {row.task_id}{mapped}, try {row.try_number}"


def leases_unchanged(count: int, since: str, lease_s: float, next_try_s: float | None) -> str:
    """Return the message about leases that could not be renewed or released.

    :param count: number of leases.
    :param since: time of day since which the database has been away.
    :param lease_s: duration of a lease, in seconds.
    :param next_try_s: seconds until the next renewal; None if they were to be released.
    """
    start = f"The results database has been away since {since}: the leases of {counted(count, 'document')}"
    if next_try_s is None:
        return f"{start} were not released. Other tasks can reclaim them within {lease_s:.0f} s."
    return (
        f"{start} were not renewed; the next try is in {next_try_s:.0f} s. Other tasks may reclaim documents "
        f"{lease_s:.0f} s after their last renewal, and this task then leaves them."
    )
