"""What a claim of a document may end in."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_deepseek_ocr.exceptions import DeepSeekOCRError
from airflow_deepseek_ocr.ocr.results import DocumentResult


class LeaseLostError(DeepSeekOCRError):
    """Another task has taken the document over, or its row was deleted."""


@dataclass(frozen=True)
class Lease:
    """The right to write one document's pages.

    :param document_id: the document's row.
    :param token: of this claim alone; whoever takes the document over has another.
    :param final_pages: numbers of the pages that need not be read again.
    """

    document_id: int
    token: str
    final_pages: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Held:
    """Another task reads the document.

    :param owner: which, for people.
    :param for_s: seconds until its lease ends unless it is renewed.
    """

    owner: str
    for_s: float


@dataclass(frozen=True)
class Settled:
    """Reading the document again could bring nothing new.

    :param by_us: how it ended, if the same task instance read it, maybe in an earlier try.
    """

    by_us: DocumentResult | None = None
