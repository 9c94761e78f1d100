"""The record of a task, as one block of its log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_deepseek_ocr.counted import listed, pages_per_second
from airflow_deepseek_ocr.run_record.facts import host_facts, settings_facts, version_facts
from airflow_deepseek_ocr.run_record.record import as_lines

if TYPE_CHECKING:
    from airflow_deepseek_ocr.connection.settings import Settings
    from airflow_deepseek_ocr.ocr.fingerprint import ProcessingConfig

#: First line of the block, by which a log is searched.
HEADING = "Run record"


def task_record(
    settings: Settings, config: ProcessingConfig, counts: Mapping[str, Any], seconds: float
) -> str:
    """Return the facts of a task's run: settings, host, versions of its Python, counts, seconds.

    The rows of its pages have status, score, confidence, flags and seconds of each page.

    :param settings: settings of the connection.
    :param config: the processing configuration.
    :param counts: counts of the batch; empty if the run ended early.
    :param seconds: since the start of the task.
    """
    server = [("Server", settings.host)] if settings.host else []
    results = [
        (name.replace("_", " "), _words(value))
        for name, value in counts.items()
        # Ids are for tasks that come after.
        if value and name != "document_ids"
    ]
    if (pages := counts.get("pages")) and seconds > 0:
        results.append(("speed", pages_per_second(pages, seconds)))
    facts = [
        *server,
        *settings_facts(settings, config),
        *host_facts(),
        *version_facts(),
        *(results or [("Result", "ended early, see the error")]),
        ("seconds", f"{seconds:.1f}"),
    ]
    return f"{HEADING}:\n{as_lines(facts)}"


def _words(value: Any) -> str:
    """Return counts as ``3 done, 1 failed``, and reasons as ``a.pdf (damaged)``."""
    if not isinstance(value, Mapping):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if all(isinstance(each, int) for each in value.values()):
        return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in value.items())
    return listed(value)
