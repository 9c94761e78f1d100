"""The record of a task in its log."""

from __future__ import annotations

import platform

from airflow_deepseek_ocr.connection.settings import Settings
from airflow_deepseek_ocr.run_record.task import HEADING, task_record

SETTINGS = Settings.of({"model": "m"}, "s3cret", host="https://ocr.example.com")


def test_settings_host_versions_and_counts_are_in_one_block() -> None:
    counts = {
        "pages": 3000,
        "failed_pages": 0,
        "documents": {"done": 1, "leased_by_others": 1200},
        "failed": {"s3://b/a.pdf": "damaged"},
    }
    text = task_record(SETTINGS, SETTINGS.processing_config(), counts, 12.34)
    lines = text.splitlines()
    assert lines[0] == f"{HEADING}:"
    for line in (
        "  Server: https://ocr.example.com",
        "  Line sent after the image: <|grounding|>Convert the document to markdown.",
        f"  Python: {platform.python_version()}",
        "  pages: 3,000",
        "  speed: 243 pages/s",
        "  documents: 1 done, 1,200 leased by others",
        "  failed: s3://b/a.pdf (damaged)",
        "  seconds: 12.3",
    ):
        assert line in lines, text
    assert "failed pages" not in text
    assert "s3cret" not in text


def test_a_run_that_ended_early() -> None:
    text = task_record(SETTINGS, SETTINGS.processing_config(), {}, 1)
    assert "  Result: ended early, see the error" in text
