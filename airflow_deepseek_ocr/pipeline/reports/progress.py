"""The line of the log about a batch in progress."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_deepseek_ocr.counted import counted
from airflow_deepseek_ocr.ocr.engine_protocol import Progress
from airflow_deepseek_ocr.ocr.results import DocumentStatus
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.printable import printable

_FAILED = DocumentStatus.FAILED.value


def progress_line(
    summary: Summary,
    documents_open: Sequence[str],
    documents: int,
    engine: Progress,
    pace: str = "",
) -> str:
    """Return how far a batch is: stored pages, ended documents, speed, and the work that is not finished.

    Stored pages are counted, and not the engine's outputs: pages from a text layer have none, and pages that
    are tried again have several.

    :param summary: of the batch so far.
    :param documents_open: URIs of the documents some of whose pages are not stored yet.
    :param documents: documents in the batch.
    :param engine: pages that the engine processes now.
    :param pace: speed and time left; empty if unknown.
    """
    failed = f" ({summary.failed_pages:,} failed)" if summary.failed_pages else ""
    bad = f" ({summary.documents[_FAILED]:,} failed)" if summary.documents[_FAILED] else ""
    done = (
        f"Progress: {summary.documents.total():,} of {counted(documents, 'document')} ended{bad}, "
        f"{counted(summary.pages, 'page')} stored{failed}{', ' + pace if pace else ''}."
    )
    pages = counted(engine.pages_in_flight, "page")
    if documents_open:
        others = len(documents_open) - 1
        pages += f" of {printable(documents_open[0])}"
        pages += f" and {counted(others, 'other document')}" if others else ""
    return f"{done} In work: {pages}; {counted(engine.tokens, 'token')} generated for them."
