"""The number of lines about documents of one kind."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_deepseek_ocr.pipeline.reports.capped_lines import CappedLines

log = logging.getLogger(__name__)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> CappedLines:
    caplog.set_level(logging.INFO)
    return CappedLines(log)


def test_ten_thousand_failures_of_one_kind_are_a_few_lines(
    lines: CappedLines, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10_000):
        lines.write("failed documents (damaged)", f"{number}.pdf: failed", logging.WARNING)
    lines.write("failed documents (empty_file)", "another.pdf: failed", logging.WARNING)
    assert caplog.messages == [
        *(f"{number}.pdf: failed" for number in range(20)),
        "Further lines about failed documents (damaged) are left out; the summary at the end has their "
        "number.",
        "another.pdf: failed",
    ]


def test_a_thousand_documents_that_are_done_have_lines(
    lines: CappedLines, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3_000):
        lines.write("done documents", f"{number}")
    assert len(caplog.messages) == 1_001


def test_names_cannot_forge_lines_or_formats(
    lines: CappedLines, caplog: pytest.LogCaptureFixture
) -> None:
    lines.write("done documents", "a%s%d\nb\x1b[1m: done")
    assert caplog.messages == [r"a%s%d\nb\x1b[1m: done"]


def test_threads_together_keep_the_limit(
    lines: CappedLines, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: lines.write("x", "line", logging.ERROR), range(500)))
    assert caplog.messages.count("line") == 20
    assert len(caplog.messages) == 21
