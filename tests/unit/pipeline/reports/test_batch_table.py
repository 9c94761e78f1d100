"""The table at the end of a task's log."""

from __future__ import annotations

from collections import Counter

from airflow_deepseek_ocr.pipeline.reports.batch_table import batch_table
from airflow_deepseek_ocr.pipeline.reports.reasons import Reasons
from airflow_deepseek_ocr.pipeline.summary import Summary


def test_outcomes_reasons_and_places() -> None:
    summary = Summary(
        documents=Counter(done=120, partial=2, failed=6, leased_by_others=1),
        pages=512,
        statuses=Counter(ok=500, failed=12),
        pages_resumed=3,
        uncertain_pages=4,
        exports=Counter(files=240, bytes=1_234_567),
    )
    reasons = Reasons()
    for _ in range(5):
        reasons.add("damaged", "s3://b/broken.pdf", "It is damaged.\nRepair it.")
    reasons.add("renderer_killed", "page 7 of s3://b/x.pdf", "Too much memory.")
    for _ in range(11):
        reasons.add("empty_file", "s3://b/0.pdf", "It is empty.")
    places = [("rows", "ocr_documents"), ("ocr results", "https://airflow/deepseek-ocr/")]
    assert batch_table(summary, reasons, 122.4, places).splitlines() == [
        "Summary: 129 documents, 512 pages in 122.4 s, 4.2 pages/s",
        "  documents    120 done, 2 partial, 6 failed, 1 leased by others",
        "  pages        500 ok, 12 failed, 3 stored by an earlier try, 4 uncertain",
        "  exports      240 files (1,234,567 bytes)",
        "  rows         ocr_documents",
        "  ocr results  https://airflow/deepseek-ocr/",
        "  Reasons, the most frequent first:",
        "  11 empty_file, such as s3://b/0.pdf: It is empty.",
        "   5 damaged, such as s3://b/broken.pdf: It is damaged. Repair it.",
        "   1 renderer_killed, such as page 7 of s3://b/x.pdf: Too much memory.",
    ]


def test_a_batch_without_work() -> None:
    assert batch_table(Summary(), Reasons(), 0.0).splitlines() == [
        "Summary: 0 documents, 0 pages in 0.0 s",
        "  documents  none",
    ]


def test_it_is_bounded_and_names_cannot_forge_lines() -> None:
    reasons = Reasons()
    for number in range(100):
        reasons.add(f"code_{number}", f"s3://b/\x1b[31m\n::group::{'k' * 5000}", "e\u202e" * 5000)
    table = batch_table(Summary(failed_exports={"x": "y"}), reasons, 1.0, [("rows", "a\nb")])
    assert len(table) < 10_000
    assert len(table.splitlines()) == 3 + 1 + 10 + 1
    assert table.endswith("  and 90 reasons more: see error_code in the tables.")
    for harmful in ("\x1b", "\u202e", "::group::k"):
        assert harmful not in table.replace(r"\x3a\x3agroup::", "")
