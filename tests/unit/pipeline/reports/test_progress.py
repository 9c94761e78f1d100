"""The line of the log about a batch in progress."""

from __future__ import annotations

from airflow_deepseek_ocr.ocr.engine_protocol import Progress
from airflow_deepseek_ocr.pipeline.reports.progress import progress_line
from airflow_deepseek_ocr.pipeline.summary import Summary


def test_stored_pages_and_ended_documents_are_counted_not_the_engines_outputs() -> None:
    summary = Summary(pages=3)
    summary.documents.update(done=1, skipped=1)
    line = progress_line(summary, ["s3://b/c.pdf"], 4, Progress(1, 7, 1234))
    assert line == (
        "Progress: 2 of 4 documents ended, 3 pages stored. "
        "In work: 7 pages of s3://b/c.pdf; 1,234 tokens generated for them."
    )


def test_failed_pages_and_further_documents() -> None:
    line = progress_line(Summary(pages=1, failed_pages=1), ["a", "b", "c"], 3, Progress(9, 1, 1))
    assert "0 of 3 documents ended, 1 page stored (1 failed)." in line
    assert line.endswith("In work: 1 page of a and 2 other documents; 1 token generated for them.")


def test_before_the_first_document() -> None:
    line = progress_line(Summary(), [], 1, Progress(0, 0, 0))
    assert "0 of 1 document ended, 0 pages stored. In work: 0 pages; 0 tokens" in line
