"""Leases on documents, and the outcomes of a claim."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError, ErrorCode
from airflow_deepseek_ocr.ocr.results import DocumentResult

#: Time until other tasks may reclaim the documents of a task that died. A lease is renewed four times in it,
#: so it survives three renewals that fail.
DEFAULT_LEASE = timedelta(minutes=2)


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
    """

    by_us: DocumentResult | None = None
