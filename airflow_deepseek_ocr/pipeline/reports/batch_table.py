"""The table at the end of a task's log: what became of documents and pages, why, and where it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_deepseek_ocr.counted import counted, pages_per_second, shortened
from airflow_deepseek_ocr.pipeline.reports.reasons import Reasons
from airflow_deepseek_ocr.pipeline.summary import Summary
from airflow_deepseek_ocr.printable import printable

#: First line, by which a log is searched.
HEADING = "Summary"
#: Reasons that are named, and characters of an example and of a message.
_REASONS, _EXAMPLE, _ERROR = 10, 200, 160


def batch_table(
    summary: Summary, reasons: Reasons, seconds: float, places: Iterable[tuple[str, str]] = ()
) -> str:
    """Return the table as lines of a log.

    :param summary: counts of the batch, also of one that ended early.
    :param reasons: why documents and pages failed.
    :param seconds: since the start of the task.
    :param places: where results are: names and addresses.
    """
    head = f"{counted(summary.documents.total(), 'document')}, {counted(summary.pages, 'page')}"
    speed = f", {pages_per_second(summary.pages, seconds)}" if summary.pages and seconds else ""
    rows = [("documents", _counts(summary.documents))]
    if summary.pages or summary.pages_resumed:
        rows.append(("pages", _counts(summary.statuses | _more(summary))))
    if summary.exports:
        exports = summary.exports
        written = f"{counted(exports['files'], 'file')} ({exports['bytes']:,} bytes)"
        failed = f", {counted(len(summary.failed_exports), 'document')} without them"
        rows.append(("exports", written + (failed if summary.failed_exports else "")))
    rows += places
    width = max(len(name) for name, _ in rows)
    lines = [f"{HEADING}: {head} in {seconds:.1f} s{speed}"]
    lines += [f"  {name:<{width}}  {printable(value)}" for name, value in rows]
    return "\n".join([*lines, *_reasons(reasons)])


def _more(summary: Summary) -> dict[str, int]:
    named = {
        "stored by an earlier try": summary.pages_resumed,
        "uncertain": summary.uncertain_pages,
    }
    return {name: count for name, count in named.items() if count}


def _counts(counts: Mapping[str, int]) -> str:
    named = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return ", ".join(named) or "none"


def _reasons(reasons: Reasons) -> list[str]:
    if not len(reasons):
        return []
    lines = ["  Reasons, the most frequent first:"]
    named = list(reasons.most_common(_REASONS))
    width = max(len(f"{each.count:,}") for each in named)
    for each in named:
        example = shortened(" ".join(each.example.split()), _EXAMPLE)
        error = shortened(" ".join(each.error.split()), _ERROR)
        lines.append(
            f"  {each.count:>{width},} {each.code}, such as {printable(example)}: {printable(error)}"
        )
    if more := len(reasons) - len(named):
        lines.append(f"  and {counted(more, 'reason')} more: see error_code in the tables.")
    return lines
